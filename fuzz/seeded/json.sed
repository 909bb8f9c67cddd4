# file: src/json_text.c
# fault: an escape that does not exist is accepted
s/\['t'\] = '\\t'/['t'] = '\\t', ['v'] = '\\v'/
