/* xet_hash.c: the hashes of Xet; see xet.h and docs of the protocol in its specification
 * (huggingface.co/docs/xet: "Hashing"). */
#include "blobs/xet.h"

#include "blobs/blake3.h"

#include "base/encode.h"

static const uint8_t data_key[BLAKE3_SIZE] = {
    0x66, 0x97, 0xf5, 0x77, 0x5b, 0x95, 0x50, 0xde, 0x31, 0x35, 0xcb, 0xac, 0xa5, 0x97, 0x18, 0x1c,
    0x9d, 0xe4, 0x21, 0x10, 0x9b, 0xeb, 0x2b, 0x58, 0xb4, 0xd0, 0xb0, 0x4b, 0x93, 0xad, 0xf2, 0x29};
static const uint8_t node_key[BLAKE3_SIZE] = {
    0x01, 0x7e, 0xc5, 0xc7, 0xa5, 0x47, 0x29, 0x96, 0xfd, 0x94, 0x66, 0x66, 0xb4, 0x8a, 0x02, 0xe6,
    0x5d, 0xdd, 0x53, 0x6f, 0x37, 0xc7, 0x6d, 0xd2, 0xf8, 0x63, 0x52, 0xe6, 0x4a, 0x53, 0x71, 0x3f};
static const uint8_t verification_key[BLAKE3_SIZE] = {
    0x7f, 0x18, 0x57, 0xd6, 0xce, 0x56, 0xed, 0x66, 0x12, 0x7f, 0xf9, 0x13, 0xe7, 0xa5, 0xc3, 0xf3,
    0xa4, 0xcd, 0x26, 0xd5, 0xb5, 0xdb, 0x49, 0xe6, 0x41, 0x24, 0x98, 0x7f, 0x28, 0xfb, 0x94, 0xc3};
static const uint8_t file_key[BLAKE3_SIZE]; // zeros

/* Reverses the bytes of each of the four words. */
static void swap_words(const uint8_t in[XET_HASH_SIZE], uint8_t out[XET_HASH_SIZE])
{
    for (int i = 0; i < XET_HASH_SIZE; i++)
        out[i] = in[i ^ 7];
}

bool xet_hash_parse(Str hex, uint8_t out[XET_HASH_SIZE])
{
    uint8_t bytes[XET_HASH_SIZE];
    if (!blob_oid_check(hex, NULL) || !hex_decode(hex, bytes, sizeof bytes))
        return false;
    swap_words(bytes, out);
    return true;
}

void xet_hash_format(const uint8_t hash[XET_HASH_SIZE], char out[XET_HEX_SIZE])
{
    uint8_t bytes[XET_HASH_SIZE];
    swap_words(hash, bytes);
    hex_encode(bytes, sizeof bytes, out);
}

void xet_chunk_hash(Str raw, uint8_t out[XET_HASH_SIZE])
{
    blake3(data_key, raw, out);
}

void xet_range_hash(Str chunk_hashes, uint8_t out[XET_HASH_SIZE])
{
    blake3(verification_key, chunk_hashes, out);
}

void xet_file_hash(const uint8_t root[XET_HASH_SIZE], uint8_t out[XET_HASH_SIZE])
{
    blake3(file_key, (Str){(const char *)root, XET_HASH_SIZE}, out);
}

/* ---- The tree ----
 * Nodes of a level are grouped from left to right: a group ends with a node at index 2 or more
 * whose last word is a multiple of 4, or with its 9th. Each group is a node of the next level,
 * until a level has one node. A group in the making is all that a level needs to keep. */

enum { GROUP_MIN = 3, GROUP_MAX = 9, LEVELS = 40 };

typedef struct XetNode {
    uint8_t hash[XET_HASH_SIZE];
    uint64_t bytes;
} XetNode;

typedef struct Level {
    XetNode group[GROUP_MAX];
    size_t n;       // in the group
    uint64_t total; // nodes that this level ever had
} Level;

struct XetTree {
    Level levels[LEVELS];
};

XetTree *xet_tree_new(void)
{
    return xcalloc(1, sizeof(XetTree));
}

void xet_tree_free(XetTree *t)
{
    free(t);
}

static XetNode merge(const Level *level)
{
    enum { LINE = XET_HEX_SIZE + 24 };
    char text[GROUP_MAX * LINE], hex[XET_HEX_SIZE];
    size_t len = 0;
    XetNode node = {0};
    for (size_t i = 0; i < level->n; i++) {
        xet_hash_format(level->group[i].hash, hex);
        len += (size_t)snprintf(text + len, sizeof text - len, "%s : %llu\n", hex,
                                (unsigned long long)level->group[i].bytes);
        node.bytes += level->group[i].bytes;
    }
    blake3(node_key, (Str){text, len}, node.hash);
    return node;
}

static bool ends_group(const Level *level)
{
    // The last word, little-endian: its lowest byte decides.
    return level->n == GROUP_MAX ||
           (level->n >= GROUP_MIN && level->group[level->n - 1].hash[24] % 4 == 0);
}

static void level_add(XetTree *t, int at, XetNode node)
{
    CHECK(at < LEVELS);
    Level *level = &t->levels[at];
    level->group[level->n++] = node;
    level->total++;
    if (!ends_group(level))
        return;
    node = merge(level);
    level->n = 0;
    level_add(t, at + 1, node);
}

void xet_tree_add(XetTree *t, const uint8_t hash[XET_HASH_SIZE], uint64_t bytes)
{
    XetNode node = {.bytes = bytes};
    memcpy(node.hash, hash, XET_HASH_SIZE);
    level_add(t, 0, node);
}

void xet_tree_root(XetTree *t, uint8_t out[XET_HASH_SIZE])
{
    memset(out, 0, XET_HASH_SIZE); // of nothing at all
    for (int at = 0; at < LEVELS && t->levels[at].total; at++) {
        Level *level = &t->levels[at];
        if (level->total == 1) {
            memcpy(out, level->group[0].hash, XET_HASH_SIZE);
            return;
        }
        if (level->n) {
            XetNode node = merge(level);
            level->n = 0;
            level_add(t, at + 1, node);
        }
    }
}
