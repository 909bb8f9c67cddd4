# file: src/json_write.c
# fault: no room is kept for the closing quote
s/left -= 2;/left -= 1;/
