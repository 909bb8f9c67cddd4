# file: src/name.c
# fault: the longest name is a byte too long
s/if (length > SHMRPC_MAX_NAME_BYTES)/if (length > SHMRPC_MAX_NAME_BYTES + 1)/
