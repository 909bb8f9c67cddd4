# file: src/frame.c
# fault: the length is fetched again for the copy
s/memcpy(out, shmrpc_frame_body(slot), claimed);/memcpy(out, shmrpc_frame_body(slot), load_length(slot));/
