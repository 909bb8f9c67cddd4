# file: src/envelope.c
# fault: a method that is no string is let through
s/if (request->method.type != SHMRPC_STRING)/if (request->method.type == SHMRPC_NULL)/
