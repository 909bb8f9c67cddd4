# file: src/owner.c
# fault: a living holder of an unmarked piece is robbed
s/if (!(dead_owner && remains->pieces\[i\].marked))/if (!dead_owner)/
