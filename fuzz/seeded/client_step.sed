# file: src/client.c
# fault: a foreign response is taken for one's own
s/if (shmrpc_json_string_equals(&response.id, own_id(client), SHMRPC_ID_BYTES))/if (response.id.length > 0)/
