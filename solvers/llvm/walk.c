/* Walk an LLVM module through the LLVM-C interface: program graph, counts for Autophase and
 * InstCount.
 *
 * walk_python.py is the reference: the same walk in the same order, about twenty times slower;
 * tests compare the two. Nothing of LLVM is linked. The caller binds each function of CALLS to its
 * address in the libLLVM that it has loaded (walk_bind), so one build works with every LLVM whose C
 * interface has these functions. Out of memory returns -1 and never aborts. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef void *Ref;

#define CALLS(X)                                    \
    X(Ref, LLVMGetFirstFunction, (Ref))             \
    X(Ref, LLVMGetNextFunction, (Ref))              \
    X(Ref, LLVMGetFirstBasicBlock, (Ref))           \
    X(Ref, LLVMGetNextBasicBlock, (Ref))            \
    X(Ref, LLVMGetFirstInstruction, (Ref))          \
    X(Ref, LLVMGetNextInstruction, (Ref))           \
    X(Ref, LLVMGetBasicBlockTerminator, (Ref))      \
    X(unsigned, LLVMGetNumSuccessors, (Ref))        \
    X(Ref, LLVMGetSuccessor, (Ref, unsigned))       \
    X(int, LLVMGetInstructionOpcode, (Ref))         \
    X(int, LLVMGetNumOperands, (Ref))               \
    X(Ref, LLVMGetOperand, (Ref, unsigned))         \
    X(int, LLVMGetValueKind, (Ref))                 \
    X(int, LLVMIsConstant, (Ref))                   \
    X(int, LLVMIsDeclaration, (Ref))                \
    X(int, LLVMGetLinkage, (Ref))                   \
    X(Ref, LLVMGetCalledValue, (Ref))               \
    X(int, LLVMIsConditional, (Ref))                \
    X(unsigned, LLVMCountIncoming, (Ref))           \
    X(Ref, LLVMTypeOf, (Ref))                       \
    X(Ref, LLVMGlobalGetValueType, (Ref))           \
    X(Ref, LLVMGetReturnType, (Ref))                \
    X(int, LLVMGetTypeKind, (Ref))                  \
    X(unsigned, LLVMGetIntTypeWidth, (Ref))         \
    X(unsigned, LLVMCountStructElementTypes, (Ref)) \
    X(Ref, LLVMStructGetTypeAtIndex, (Ref, unsigned)) \
    X(Ref, LLVMGetElementType, (Ref))               \
    X(int, LLVMIsNull, (Ref))                       \
    X(Ref, LLVMConstInt, (Ref, unsigned long long, int))

#define DECLARE(result, name, arguments) static result(*name) arguments;
CALLS(DECLARE)

#define NAME(result, name, arguments) #name,
static const char *const names[] = {CALLS(NAME) NULL};

/* Return the name of the i-th function to bind, NULL after the last. */
const char *walk_name(int i) { return names[i]; }

/* Set the functions' addresses, in the order of walk_name. */
void walk_bind(void *const *addresses) {
    int i = 0;
#define BIND(result, name, arguments) name = (result(*) arguments)addresses[i++];
    CALLS(BIND)
}

/* LLVM-C numbers: LLVMValueKind, LLVMTypeKind, LLVMLinkage, LLVMOpcode. */
enum { ARGUMENT = 0, FUNCTION = 5, CONSTANT_INT = 18, INSTRUCTION = 24 };
enum { INTEGER = 8, STRUCT = 10, ARRAY = 11, VECTOR = 13, SCALABLE_VECTOR = 17 };
enum { INTERNAL = 8, PRIVATE = 9 };
enum { BR = 2, INVOKE = 5, ADD = 8, XOR = 25, ALLOCA = 26, LOAD = 27, STORE = 28, GEP = 29,
       FIRST_CAST = 30, LAST_CAST = 41, PHI = 44, CALL = 45, VA_ARG = 49, EXTRACT_VALUE = 53,
       ADDRSPACE_CAST = 60, FNEG = 66, CALLBR = 67, FREEZE = 68, PTR_TO_ADDR = 69 };
/* vocabulary.py: kinds, flows, special tokens, the layout of the table. */
enum { K_INSTRUCTION, K_VARIABLE, K_CONSTANT, K_TYPE };
enum { F_CONTROL, F_DATA, F_CALL, F_TYPE };
enum { T_UNKNOWN, T_VARIABLE, T_CONSTANT, T_EXTERNAL, T_UNDEFINED };
enum { OPCODE_ROOM = 128, KIND_ROOM = 64, LARGEST_POSITION = 31, MOST_EXITS = 16 };

/* Growable rows of `width` numbers. `failed` is set when an allocation fails and never cleared;
 * callers check it at the end of a stage. */
struct Rows { int32_t *data; size_t count, room; int width, failed; };

static int32_t *row(struct Rows *r) {
    if (r->failed) return NULL;
    if (r->count == r->room) {
        size_t room = r->room ? r->room * 2 : 1024;
        int32_t *grown =
            r->count > INT32_MAX / 2 ? NULL : realloc(r->data, room * r->width * sizeof *grown);
        if (!grown) { r->failed = 1; return NULL; }
        r->data = grown;
        r->room = room;
    }
    return r->data + r->width * r->count++;
}

/* Map of pointers to numbers: open addressing, at most half full. */
struct Map { Ref *keys; int32_t *values; size_t count, room; int failed; };

static size_t slot(const struct Map *m, Ref key) {
    size_t i = ((uintptr_t)key >> 4) * 0x9E3779B97F4A7C15ull >> 20 & (m->room - 1);
    while (m->keys[i] && m->keys[i] != key) i = (i + 1) & (m->room - 1);
    return i;
}

static int32_t find(const struct Map *m, Ref key) {
    if (!m->room) return -1;
    size_t i = slot(m, key);
    return m->keys[i] ? m->values[i] : -1;
}

static void put(struct Map *m, Ref key, int32_t value) {
    if (m->failed) return;
    if (2 * m->count >= m->room) {
        struct Map grown = {0};
        grown.room = m->room ? m->room * 2 : 2048;
        grown.keys = calloc(grown.room, sizeof *grown.keys);
        grown.values = malloc(grown.room * sizeof *grown.values);
        if (!grown.keys || !grown.values) {
            free(grown.keys);
            free(grown.values);
            m->failed = 1;
            return;
        }
        for (size_t i = 0; i < m->room; i++)
            if (m->keys[i]) {
                size_t j = slot(&grown, m->keys[i]);
                grown.keys[j] = m->keys[i];
                grown.values[j] = m->values[i];
            }
        grown.count = m->count;
        free(m->keys);
        free(m->values);
        *m = grown;
    }
    size_t i = slot(m, key);
    if (!m->keys[i]) m->count++;
    m->keys[i] = key;
    m->values[i] = value;
}

static void drop(struct Map *m) { free(m->keys); free(m->values); }

/* ---- the graph ---- */

struct Walk {
    struct Rows nodes, edges;
    struct Map instructions, arguments, constants, types;
    struct Map blocks;    /* block → node of its first instruction */
    struct Map functions; /* function → row of `entries` */
    struct Rows entries;  /* entry node, first exit, number of exits */
    struct Rows exits;    /* nodes of terminators without successors */
    Ref *pending;         /* composite types whose members have no nodes yet */
    size_t waiting, pending_room;
    int failed;
    const int32_t *table;
};

static int32_t node(struct Walk *w, int kind, int token, int function, int block) {
    int32_t *r = row(&w->nodes);
    if (!r) { w->failed = 1; return 0; }
    r[0] = kind; r[1] = token; r[2] = function; r[3] = block; r[4] = T_UNKNOWN;
    return (int32_t)w->nodes.count - 1;
}

static void edge(struct Walk *w, int32_t source, int32_t target, int flow, unsigned position) {
    int32_t *r = row(&w->edges);
    if (!r) { w->failed = 1; return; }
    r[0] = source;
    r[1] = target;
    r[2] = flow;
    r[3] = position < LARGEST_POSITION ? position : LARGEST_POSITION;
}

static int composite(int kind) {
    return kind == STRUCT || kind == ARRAY || kind == VECTOR || kind == SCALABLE_VECTOR;
}

static int32_t type_token(struct Walk *w, Ref type, int kind) {
    static const unsigned widths[] = {1, 8, 16, 32, 64, 128};
    if (kind == INTEGER) {
        unsigned width = LLVMGetIntTypeWidth(type);
        for (int i = 0; i < 6; i++)
            if (widths[i] == width) return w->table[OPCODE_ROOM + KIND_ROOM + i];
    }
    return kind < KIND_ROOM ? w->table[OPCODE_ROOM + kind] : T_UNKNOWN;
}

static int32_t shared_type(struct Walk *w, Ref type) {
    int32_t existing = find(&w->types, type);
    if (existing >= 0) return existing;
    int kind = LLVMGetTypeKind(type);
    int32_t made = node(w, K_TYPE, type_token(w, type, kind), -1, -1);
    put(&w->types, type, made);
    if (composite(kind)) {
        if (w->waiting == w->pending_room) {
            size_t room = w->pending_room ? w->pending_room * 2 : 64;
            Ref *grown = realloc(w->pending, room * sizeof *grown);
            if (!grown) { w->failed = 1; return made; }
            w->pending = grown;
            w->pending_room = room;
        }
        w->pending[w->waiting++] = type;
    }
    return made;
}

/* Return the node of a type and add its members' nodes. A plain member is a node of its struct
 * alone. */
static int32_t type_node(struct Walk *w, Ref type) {
    int32_t result = shared_type(w, type);
    while (w->waiting && !w->failed) {
        Ref outer = w->pending[--w->waiting];
        int32_t at = find(&w->types, outer);
        if (LLVMGetTypeKind(outer) != STRUCT) {
            edge(w, shared_type(w, LLVMGetElementType(outer)), at, F_TYPE, 0);
            continue;
        }
        unsigned members = LLVMCountStructElementTypes(outer);
        for (unsigned i = 0; i < members && !w->failed; i++) {
            Ref member = LLVMStructGetTypeAtIndex(outer, i);
            int kind = LLVMGetTypeKind(member);
            int32_t own = composite(kind) ? shared_type(w, member)
                                          : node(w, K_TYPE, type_token(w, member, kind), -1, -1);
            edge(w, own, at, F_TYPE, i);
        }
    }
    return result;
}

static void operand(struct Walk *w, int32_t user, Ref value, unsigned position, int function,
                    int block) {
    int kind = LLVMGetValueKind(value);
    int32_t own;
    if (kind == FUNCTION) return; /* represented by call edges */
    if (kind == INSTRUCTION) {
        int32_t producer = find(&w->instructions, value);
        if (producer < 0) return;
        own = node(w, K_VARIABLE, T_VARIABLE, function, block); /* one for each use */
        edge(w, producer, own, F_DATA, 0);
        edge(w, type_node(w, LLVMTypeOf(value)), own, F_TYPE, 0);
    } else if (kind == ARGUMENT || LLVMIsConstant(value)) {
        struct Map *map = kind == ARGUMENT ? &w->arguments : &w->constants;
        own = find(map, value);
        if (own < 0) {
            own = kind == ARGUMENT ? node(w, K_VARIABLE, T_VARIABLE, function, -1)
                                   : node(w, K_CONSTANT, T_CONSTANT, -1, -1);
            put(map, value, own);
            edge(w, type_node(w, LLVMTypeOf(value)), own, F_TYPE, 0);
        }
    } else {
        return; /* blocks have control edges; metadata and inline assembly are not data */
    }
    edge(w, own, user, F_DATA, position);
}

/* Add call edges to the callee and back from its exits. */
static void calls(struct Walk *w, int32_t caller, Ref function) {
    int32_t row = find(&w->functions, function);
    if (row < 0) return;
    const int32_t *entry = w->entries.data + 3 * (size_t)row;
    edge(w, caller, entry[0], F_CALL, 0);
    for (int32_t i = 0; i < entry[2]; i++) edge(w, w->exits.data[entry[1] + i], caller, F_CALL, 0);
}

static void leave(struct Walk *w, int32_t from, int32_t *count) {
    int32_t *r = *count < MOST_EXITS ? row(&w->exits) : NULL;
    if (r) { *r = from; ++*count; }
}

static void place_nodes(struct Walk *w, Ref module) {
    int function = 0, block = 0;
    node(w, K_INSTRUCTION, T_EXTERNAL, -1, -1);
    for (Ref f = LLVMGetFirstFunction(module); f && !w->failed;
         f = LLVMGetNextFunction(f), function++) {
        int32_t entry = (int32_t)w->nodes.count, first_exit = (int32_t)w->exits.count, exits = 0;
        if (LLVMIsDeclaration(f))
            leave(w, node(w, K_INSTRUCTION, T_UNDEFINED, function, -1), &exits);
        for (Ref b = LLVMGetFirstBasicBlock(f); b && !w->failed;
             b = LLVMGetNextBasicBlock(b), block++) {
            int32_t before = -1;
            for (Ref i = LLVMGetFirstInstruction(b); i && !w->failed;
                 i = LLVMGetNextInstruction(i)) {
                int opcode = LLVMGetInstructionOpcode(i);
                int32_t token = opcode < OPCODE_ROOM ? w->table[opcode] : T_UNKNOWN;
                int32_t own = node(w, K_INSTRUCTION, token, function, block);
                put(&w->instructions, i, own);
                if (before >= 0) edge(w, before, own, F_CONTROL, 0);
                else put(&w->blocks, b, own);
                before = own;
            }
            Ref end = LLVMGetBasicBlockTerminator(b);
            if (end && LLVMGetNumSuccessors(end) == 0) leave(w, before, &exits);
        }
        int32_t *told = row(&w->entries);
        if (!told) { w->failed = 1; return; }
        told[0] = entry; told[1] = first_exit; told[2] = exits;
        put(&w->functions, f, (int32_t)w->entries.count - 1);
    }
}

static void place_edges(struct Walk *w, Ref module) {
    int function = 0;
    for (Ref f = LLVMGetFirstFunction(module); f && !w->failed;
         f = LLVMGetNextFunction(f), function++) {
        int linkage = LLVMGetLinkage(f);
        if (linkage != INTERNAL && linkage != PRIVATE) calls(w, 0, f);
        for (Ref b = LLVMGetFirstBasicBlock(f); b && !w->failed; b = LLVMGetNextBasicBlock(b)) {
            int32_t own = find(&w->blocks, b);
            for (Ref i = LLVMGetFirstInstruction(b); i && !w->failed;
                 i = LLVMGetNextInstruction(i), own++) {
                int block = w->nodes.data[5 * own + 3], opcode = LLVMGetInstructionOpcode(i);
                int operands = LLVMGetNumOperands(i);
                for (int k = 0; k < operands; k++)
                    operand(w, own, LLVMGetOperand(i, k), k, function, block);
                if (opcode == CALL || opcode == INVOKE || opcode == CALLBR) {
                    Ref called = LLVMGetCalledValue(i);
                    if (called && LLVMGetValueKind(called) == FUNCTION) calls(w, own, called);
                }
            }
            Ref end = LLVMGetBasicBlockTerminator(b);
            unsigned successors = end ? LLVMGetNumSuccessors(end) : 0;
            for (unsigned k = 0; k < successors; k++) {
                int32_t to = find(&w->blocks, LLVMGetSuccessor(end, k));
                if (to >= 0) edge(w, own - 1, to, F_CONTROL, k);
            }
        }
    }
}

/* Return 0, or -1 when out of memory. The caller frees both arrays with walk_free. */
int walk_graph(Ref module, const int32_t *table, int32_t **nodes, int64_t *node_count,
               int32_t **edges, int64_t *edge_count) {
    struct Walk w;
    memset(&w, 0, sizeof w);
    w.nodes.width = 5;
    w.edges.width = 4;
    w.entries.width = 3;
    w.exits.width = 1;
    w.table = table;
    place_nodes(&w, module);
    if (!w.failed) place_edges(&w, module);
    struct Map *maps[] = {&w.instructions, &w.blocks, &w.arguments,
                          &w.constants,    &w.types,  &w.functions};
    int failed = w.failed || w.exits.failed;
    for (size_t i = 0; i < sizeof maps / sizeof *maps; i++) {
        failed = failed || maps[i]->failed;
        drop(maps[i]);
    }
    free(w.pending); free(w.entries.data); free(w.exits.data);
    if (failed) {
        free(w.nodes.data);
        free(w.edges.data);
        return -1;
    }
    *nodes = w.nodes.data; *node_count = (int64_t)w.nodes.count;
    *edges = w.edges.data; *edge_count = (int64_t)w.edges.count;
    return 0;
}

void walk_free(void *memory) { free(memory); }

/* ---- counts ---- */

/* Counts apart from opcodes, in the order of `Count` in vocabulary.py. */
enum { ARGS_HI, ARGS_LO, ONE_PRED, ONE_PRED_ONE_SUC, ONE_PRED_TWO_SUC, ONE_SUC, TWO_PRED,
       TWO_PRED_ONE_SUC, TWO_EACH, TWO_SUC, MORE_PREDS, PHI_LO, PHI_HI, PHI_NO, BEGIN_PHI,
       RETURN_INT, CRITICAL, EDGES, CONST_32, CONST_64, ZEROES, ONES, UNCONDITIONAL, BINARY_CONST,
       BLOCK_MID, BLOCK_LOW, BLOCKS, INSTRUCTIONS, FUNCTIONS, ARGS_PHI, UNARY, COUNTS };

int walk_counts_size(void) { return COUNTS; }

static int unary(int opcode) {
    return opcode == ALLOCA || opcode == LOAD || (opcode >= FIRST_CAST && opcode <= LAST_CAST) ||
           opcode == VA_ARG || opcode == EXTRACT_VALUE || opcode == ADDRSPACE_CAST ||
           opcode == FNEG || opcode == FREEZE || opcode == PTR_TO_ADDR;
}

static void constant(Ref value, int64_t *c) {
    Ref type = LLVMTypeOf(value);
    if (LLVMGetTypeKind(type) != INTEGER) return; /* a splat */
    unsigned width = LLVMGetIntTypeWidth(type);
    c[CONST_32] += width == 32;
    c[CONST_64] += width == 64;
    if (LLVMIsNull(value)) c[ZEROES]++;
    else if (LLVMConstInt(type, 1, 0) == value) c[ONES]++; /* LLVM makes each constant once */
}

static void block_counts(Ref block, unsigned preds, unsigned successors, int64_t *c,
                         int64_t *opcodes) {
    int64_t size = 0, phis = 0, incoming = 0;
    c[BLOCKS]++;
    c[ONE_SUC] += successors == 1; c[TWO_SUC] += successors == 2;
    c[ONE_PRED] += preds == 1; c[TWO_PRED] += preds == 2; c[MORE_PREDS] += preds > 2;
    c[ONE_PRED_ONE_SUC] += preds == 1 && successors == 1;
    c[ONE_PRED_TWO_SUC] += preds == 1 && successors == 2;
    c[TWO_PRED_ONE_SUC] += preds == 2 && successors == 1;
    c[TWO_EACH] += preds == 2 && successors == 2;
    for (Ref i = LLVMGetFirstInstruction(block); i; i = LLVMGetNextInstruction(i), size++) {
        int opcode = LLVMGetInstructionOpcode(i), operands = LLVMGetNumOperands(i);
        if (opcode < OPCODE_ROOM) opcodes[opcode]++;
        for (int k = 0; k < operands; k++) {
            Ref value = LLVMGetOperand(i, k);
            if (LLVMGetValueKind(value) == CONSTANT_INT) constant(value, c);
        }
        if (opcode == BR) c[UNCONDITIONAL] += !LLVMIsConditional(i);
        if (opcode == CALL) {
            Ref called = LLVMGetCalledValue(i);
            if (called && LLVMGetValueKind(called) == FUNCTION) {
                Ref returned = LLVMGetReturnType(LLVMGlobalGetValueType(called));
                c[RETURN_INT] += LLVMGetTypeKind(returned) == INTEGER;
            }
        }
        if (opcode >= ADD && opcode <= XOR)
            c[BINARY_CONST] +=
                LLVMIsConstant(LLVMGetOperand(i, 0)) || LLVMIsConstant(LLVMGetOperand(i, 1));
        if (opcode == PHI) {
            c[BEGIN_PHI] += size == 0;
            phis++;
            incoming += LLVMCountIncoming(i);
        }
        c[UNARY] += unary(opcode);
    }
    c[INSTRUCTIONS] += size;
    c[ARGS_PHI] += incoming;
    c[ARGS_HI] += incoming > 5; c[ARGS_LO] += incoming >= 1 && incoming <= 5;
    c[PHI_NO] += phis == 0; c[PHI_LO] += phis >= 1 && phis <= 3; c[PHI_HI] += phis > 3;
    c[BLOCK_LOW] += size < 15; c[BLOCK_MID] += size >= 15 && size <= 500;
}

/* Fill `counts` (walk_counts_size numbers) and `opcodes` (OPCODE_ROOM), zeroed by the caller.
 * Return -1 when out of memory. */
int walk_counts(Ref module, int64_t *counts, int64_t *opcodes) {
    for (Ref f = LLVMGetFirstFunction(module); f; f = LLVMGetNextFunction(f)) {
        struct Map preds = {0}; /* edges into each block; parallel edges count separately */
        counts[FUNCTIONS]++;
        for (Ref b = LLVMGetFirstBasicBlock(f); b; b = LLVMGetNextBasicBlock(b)) {
            Ref end = LLVMGetBasicBlockTerminator(b);
            unsigned successors = end ? LLVMGetNumSuccessors(end) : 0;
            for (unsigned k = 0; k < successors; k++) {
                Ref to = LLVMGetSuccessor(end, k);
                int32_t before = find(&preds, to);
                put(&preds, to, before < 0 ? 1 : before + 1);
            }
        }
        if (preds.failed) { drop(&preds); return -1; }
        for (Ref b = LLVMGetFirstBasicBlock(f); b; b = LLVMGetNextBasicBlock(b)) {
            Ref end = LLVMGetBasicBlockTerminator(b);
            unsigned successors = end ? LLVMGetNumSuccessors(end) : 0;
            int32_t into = find(&preds, b);
            for (unsigned k = 0; k < successors; k++)
                counts[CRITICAL] += successors > 1 && find(&preds, LLVMGetSuccessor(end, k)) > 1;
            counts[EDGES] += successors;
            block_counts(b, into < 0 ? 0 : (unsigned)into, successors, counts, opcodes);
        }
        drop(&preds);
    }
    return 0;
}
