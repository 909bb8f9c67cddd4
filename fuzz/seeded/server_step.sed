# file: src/channel.c
# fault: the post of empty after a receive is lost
/SRPC-RECOVER-001/,/return status/s/status = post(channel, &slot->empty);/status = SHMRPC_OK;/
