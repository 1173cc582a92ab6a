/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a manifest may hold: the types of stillflow.bundle.manifest as tables, and the judge of a document by them.
 * Members that are not named here are ignored: a newer minor version may have added them.
 */
#include <float.h>
#include <string.h>

#include "bundle/manifest.h"

typedef enum kind { TEXT, WHOLE, NUMBER, DIMENSION, LIST, MAP, STRUCT } kind;

typedef struct rule {
    kind kind;
    int nullable;
    double least, most;               /* of a number; of the length of a text (in characters) or a list */
    int (*allowed)(const char *text); /* of TEXT; null allows all */
    const struct rule *of;            /* of LIST and MAP */
    const struct field *fields;       /* of STRUCT, up to one without a name */
} rule;

/* Short names lie in the tables themselves: a pointer to one would take 32 bytes more in the file, to be relocated. */
typedef struct field {
    char name[20];
    int required;
    const rule *rule;
} field;

static int in_words(const char *text, const char (*words)[10]) {
    for (; **words; words++)
        if (strcmp(text, *words) == 0) return 1;
    return 0;
}

static int is_lower(char c) { return c >= 'a' && c <= 'z'; }
static int is_digit(char c) { return c >= '0' && c <= '9'; }
static int begins_name(char c) { return is_lower(c) || (c >= 'A' && c <= 'Z') || is_digit(c) || c == '_'; }
static int continues_name(char c) { return begins_name(c) || c == '.' || c == '+' || c == '-'; }

static int is_name(const char *text) {
    if (!begins_name(*text)) return 0;
    while (continues_name(*text)) text++;
    return !*text;
}

int sf_path_confined(const char *text) {
    for (;; text++) {
        if (!begins_name(*text)) return 0;
        while (continues_name(*text)) text++;
        if (*text != '/') return !*text;
    }
}

static int is_sum(const char *text) {
    for (int i = 0; i < 64; i++, text++)
        if (!is_digit(*text) && !(*text >= 'a' && *text <= 'f')) return 0;
    return !*text;
}

static const char *skip_digits(const char *text) {
    while (is_digit(*text)) text++;
    return text;
}

static int is_version(const char *text) {
    const char *point = skip_digits(text);
    if (point == text || point - text > 6 || *point != '.') return 0;
    const char *end = skip_digits(point + 1);
    return end > point + 1 && end - point <= 7 && !*end;
}

/* height, or height/2. */
static int is_dimension(const char *text) {
    if (!is_lower(*text)) return 0;
    while (is_lower(*text) || is_digit(*text) || *text == '_') text++;
    if (!*text) return 1;
    return *text == '/' && is_digit(text[1]) && !*skip_digits(text + 1);
}

static int is_dtype(const char *text) {
    static const char words[][10] = {"float32", "float16", "uint8", "int32", "int64", ""};
    return in_words(text, words);
}

int sf_is_precision(const char *text) {
    static const char words[][10] = {"fp32", "fp16", "int8", ""};
    return in_words(text, words);
}

static int is_alpha_weight(const char *text) {
    static const char words[][10] = {"share", "features", ""};
    return in_words(text, words);
}

#define ENDLESS DBL_MAX
#define FILE_BYTES_MOST 2147483647.0
#define MEMBERS_MOST 256 /* of one struct; members are looked up one by one, and no minor version has so many */

static const rule any_text = {TEXT, 0, 0, ENDLESS, 0, 0, 0};
static const rule text = {TEXT, 0, 0, 20000, 0, 0, 0};
static const rule short_text = {TEXT, 0, 0, 200, 0, 0, 0};
static const rule layout = {TEXT, 0, 0, 16, 0, 0, 0};
static const rule loop_rule = {TEXT, 0, 0, 100, 0, 0, 0};
static const rule name = {TEXT, 0, 0, 100, is_name, 0, 0};
static const rule maybe_name = {TEXT, 1, 0, 100, is_name, 0, 0};
static const rule path = {TEXT, 0, 0, 200, sf_path_confined, 0, 0};
static const rule maybe_path = {TEXT, 1, 0, 200, sf_path_confined, 0, 0};
static const rule sum = {TEXT, 0, 0, ENDLESS, is_sum, 0, 0};
static const rule maybe_sum = {TEXT, 1, 0, ENDLESS, is_sum, 0, 0};
static const rule version = {TEXT, 0, 0, ENDLESS, is_version, 0, 0};
static const rule dtype = {TEXT, 0, 0, ENDLESS, is_dtype, 0, 0};
static const rule precision = {TEXT, 0, 0, ENDLESS, sf_is_precision, 0, 0};
static const rule alpha_weight = {TEXT, 0, 0, ENDLESS, is_alpha_weight, 0, 0};

static const rule any_number = {NUMBER, 0, -ENDLESS, ENDLESS, 0, 0, 0};
static const rule not_negative = {NUMBER, 0, 0, ENDLESS, 0, 0, 0};
static const rule maybe_not_positive = {NUMBER, 1, -ENDLESS, 0, 0, 0, 0};
static const rule below_half = {NUMBER, 0, 0, 0.49999999999999994, 0, 0, 0};
static const rule side = {WHOLE, 0, 1, 65536, 0, 0, 0};
static const rule maybe_side = {WHOLE, 1, 1, 65536, 0, 0, 0};
static const rule maybe_multiple = {WHOLE, 1, 1, 4096, 0, 0, 0};
static const rule maybe_halo = {WHOLE, 1, 0, 65536, 0, 0, 0};
static const rule opset = {WHOLE, 0, 1, 1000, 0, 0, 0};
static const rule field_scale = {WHOLE, 0, 1, 64, 0, 0, 0};
static const rule doublings = {WHOLE, 0, 0, 16, 0, 0, 0};
static const rule file_bytes = {WHOLE, 0, 0, FILE_BYTES_MOST, 0, 0, 0};
static const rule dimension = {DIMENSION, 0, 1, 1 << 24, is_dimension, 0, 0};

static const rule range = {LIST, 1, 2, 2, 0, &any_number, 0};
static const rule shape = {LIST, 0, 0, 8, 0, &dimension, 0};
static const rule channels = {LIST, 0, 0, 4096, 0, &text, 0};
static const rule basis = {LIST, 0, 0, 16, 0, &text, 0};
static const field tensor_fields[] = {
    {"name", 1, &name},       {"dtype", 1, &dtype},   {"shape", 1, &shape},       {"range", 0, &range},
    {"layout", 0, &layout},   {"meaning", 0, &text},  {"channels", 0, &channels}, {"", 0, 0}};
static const rule tensor = {STRUCT, 0, 0, 0, 0, 0, tensor_fields};
static const rule tensors = {LIST, 0, 1, 64, 0, &tensor, 0};
static const field variant_fields[] = {
    {"precision", 1, &precision}, {"file", 1, &path}, {"sha256", 1, &sum}, {"", 0, 0}};
static const rule variant = {STRUCT, 0, 0, 0, 0, 0, variant_fields};
static const rule variants = {LIST, 0, 0, 16, 0, &variant, 0};
static const field graph_fields[] = {
    {"name", 1, &name},           {"what", 1, &text},         {"file", 1, &path},
    {"sha256", 1, &sum},          {"opset", 1, &opset},       {"precision", 0, &precision},
    {"variants", 0, &variants},   {"inputs", 1, &tensors},    {"outputs", 1, &tensors},
    {"multiple", 0, &maybe_multiple}, {"long_side", 0, &maybe_side}, {"halo", 0, &maybe_halo},
    {"", 0, 0}};
static const rule graph = {STRUCT, 0, 0, 0, 0, 0, graph_fields};
static const rule graphs = {LIST, 0, 1, 64, 0, &graph, 0};
static const field tolerance_fields[] = {{"absolute", 1, &not_negative}, {"relative", 0, &not_negative}, {"", 0, 0}};
static const rule tolerance = {STRUCT, 0, 0, 0, 0, 0, tolerance_fields};
static const rule by_output = {MAP, 0, 0, 0, 0, &tolerance, 0};
static const rule by_precision = {MAP, 0, 0, 0, 0, &by_output, 0};
static const field vector_fields[] = {
    {"graph", 1, &name}, {"file", 1, &path}, {"sha256", 1, &sum}, {"what", 0, &text}, {"tolerance", 1, &by_precision},
    {"", 0, 0}};
static const rule vector = {STRUCT, 0, 0, 0, 0, 0, vector_fields};
static const rule vectors = {LIST, 0, 0, 1024, 0, &vector, 0};
static const field receipt_fields[] = {
    {"kind", 1, &name}, {"graph", 0, &maybe_name}, {"what", 0, &text}, {"file", 1, &path}, {"sha256", 1, &sum},
    {"", 0, 0}};
static const rule receipt = {STRUCT, 0, 0, 0, 0, 0, receipt_fields};
static const rule receipts = {LIST, 0, 0, 1024, 0, &receipt, 0};
static const field weight_fields[] = {
    {"graph", 1, &name}, {"source", 1, &text}, {"licence", 1, &text}, {"sha256", 0, &maybe_sum}, {"", 0, 0}};
static const rule weight = {STRUCT, 0, 0, 0, 0, 0, weight_fields};
static const rule weights = {LIST, 0, 0, 64, 0, &weight, 0};
static const field licence_fields[] = {
    {"covers", 1, &text}, {"spdx", 1, &short_text}, {"holder", 0, &text}, {"file", 0, &maybe_path}, {"", 0, 0}};
static const rule licence = {STRUCT, 0, 0, 0, 0, 0, licence_fields};
static const rule licences = {LIST, 0, 1, 256, 0, &licence, 0};
static const field loop_fields[] = {
    {"rule", 0, &loop_rule},        {"field_scale", 0, &field_scale},           {"trace_doublings", 0, &doublings},
    {"blend_basis", 0, &basis},     {"weight_floor", 0, &maybe_not_positive},   {"edge_share", 0, &below_half},
    {"alpha_weight", 0, &alpha_weight}, {"", 0, 0}};
static const rule loop = {STRUCT, 0, 0, 0, 0, 0, loop_fields};
static const field size_fields[] = {
    {"flow_long_side", 1, &side}, {"generator_long_side", 1, &side}, {"multiple", 0, &side}, {"", 0, 0}};
static const rule sizes = {STRUCT, 0, 0, 0, 0, 0, size_fields};
static const field file_fields[] = {{"path", 1, &path}, {"bytes", 1, &file_bytes}, {"sha256", 1, &sum}, {"", 0, 0}};
static const rule file = {STRUCT, 0, 0, 0, 0, 0, file_fields};
static const rule files = {LIST, 0, 0, 4096, 0, &file, 0};
static const rule outputs = {MAP, 0, 0, 0, 0, &any_text, 0};
static const field manifest_fields[] = {
    {"schema_version", 1, &version}, {"name", 1, &name},         {"what", 1, &text},
    {"creator", 1, &text},           {"licences", 1, &licences}, {"weights", 0, &weights},
    {"graphs", 1, &graphs},          {"vectors", 0, &vectors},   {"receipts", 0, &receipts},
    {"loop", 0, &loop},              {"sizes", 1, &sizes},       {"default_precision", 0, &precision},
    {"outputs", 1, &outputs},        {"files", 1, &files},       {"", 0, 0}};
static const rule manifest = {STRUCT, 0, 0, 0, 0, 0, manifest_fields};

/* Characters, not bytes. */
static double length_of(const char *string) {
    double count = 0;
    for (; *string; string++) count += ((unsigned char)*string & 0xC0) != 0x80;
    return count;
}

static int judge(const rule *rule, const sf_json *value, const char **about);

static int judge_fields(const field *fields, const sf_json *value, const char **about) {
    uint32_t seen = 0;
    if (value->count > MEMBERS_MOST) return 0;
    /* Every member, so that all of several with one name are judged, though the last one counts. */
    for (const sf_json *member = value->first; member; member = member->next)
        for (int i = 0; *fields[i].name; i++) {
            if (strcmp(fields[i].name, member->name) != 0) continue;
            seen |= 1u << i;
            *about = fields[i].name;
            if (!judge(fields[i].rule, member, about)) return 0;
        }
    for (int i = 0; *fields[i].name; i++)
        if (fields[i].required && !(seen >> i & 1)) {
            *about = fields[i].name;
            return 0;
        }
    return 1;
}

static int judge_text(const rule *rule, const sf_json *value) {
    if (value->kind != SF_JSON_STRING) return 0;
    return length_of(value->string) <= rule->most && (!rule->allowed || rule->allowed(value->string));
}

static int judge_number(const rule *rule, const sf_json *value) {
    if (value->kind != SF_JSON_NUMBER || (rule->kind != NUMBER && !value->whole)) return 0;
    return value->number >= rule->least && value->number <= rule->most;
}

static int judge_all(const rule *rule, const sf_json *value, const char **about) {
    for (const sf_json *child = value->first; child; child = child->next)
        if (!judge(rule->of, child, about)) return 0;
    return 1;
}

/* 1 where the value is as the rule says; else about is the name of what is not. As deep as the tables, no deeper. */
static int judge(const rule *rule, const sf_json *value, const char **about) {
    if (rule->nullable && value->kind == SF_JSON_NULL) return 1;
    switch (rule->kind) {
    case TEXT: return judge_text(rule, value);
    case WHOLE:
    case NUMBER: return judge_number(rule, value);
    case DIMENSION:
        if (value->kind == SF_JSON_NUMBER) return judge_number(rule, value);
        return value->kind == SF_JSON_STRING && length_of(value->string) <= 40 && rule->allowed(value->string);
    case LIST:
        if (value->kind != SF_JSON_ARRAY || value->count < rule->least || value->count > rule->most) return 0;
        return judge_all(rule, value, about);
    case MAP: return value->kind == SF_JSON_OBJECT && judge_all(rule, value, about);
    default: return value->kind == SF_JSON_OBJECT && judge_fields(rule->fields, value, about);
    }
}

const char *sf_manifest_misfit(const sf_json *value) {
    const char *about = "the whole of it";
    return judge(&manifest, value, &about) ? 0 : about;
}
