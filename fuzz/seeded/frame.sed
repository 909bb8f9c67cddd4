# file: src/frame.c
# fault: the length check is off by one
s/claimed > capacity)/claimed > capacity + 1)/
