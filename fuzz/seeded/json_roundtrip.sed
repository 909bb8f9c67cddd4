# file: src/json_write.c
# fault: one control character gets the escape of another
s/\['\\n'\] = 'n'/['\\n'] = 'r'/
