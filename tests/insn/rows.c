/*
 * rows.c - the names in a64.def, as text.
 */
#include "tester.h"

#define INSN(id, mnemonic, pattern, format, feature, group, ...) [A64_##id] = #feature,
static const char *const features[A64_OP_COUNT] = {
#include "a64/a64.def"
};
#undef INSN

#define INSN(id, mnemonic, pattern, format, feature, group, ...) [A64_##id] = #group,
static const char *const groups[A64_OP_COUNT] = {
#include "a64/a64.def"
};
#undef INSN

const char *row_feature(enum a64_op op) {
    return features[op];
}

const char *row_group(enum a64_op op) {
    return groups[op];
}

enum a64_op row_by_id(const char *id) {
    for (unsigned i = 1; i < A64_OP_COUNT; i++)
        if (!strcmp(a64_rows[i].id, id))
            return i;
    return A64_UNALLOCATED;
}
