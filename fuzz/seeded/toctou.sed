# file: src/frame.c
# fault: the length is fetched again for the copy
s/shmrpc_frame_body(slot), claimed, /shmrpc_frame_body(slot), load_length(slot), /
