/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON (RFC 8259) into a tree. Strict: no byte order mark, comments, trailing commas, NaN or numbers beyond a double;
 * strings are UTF-8 without overlong forms, surrogates or a 0. Of members with one name the last wins, as in Python.
 *
 * Numbers are read here and not by strtod, which follows the locale. Up to 15 digits and powers of ten from -22 to 22
 * come out correctly rounded, since then both are exact as doubles and one operation rounds (Clinger 1990, "How to read
 * floating point numbers accurately"); longer ones within a few units in the last place.
 */
#include <math.h>
#include <string.h>

#include "bundle/bundle.h"

#define DEPTH_MOST 64
#define VALUES_MOST (1 << 20)
#define BLOCK 256 /* values that are taken from the room at a time */

typedef struct reader {
    sf_room *room;
    const unsigned char *at, *begin, *end;
    char *texts; /* where the next string is written: never more bytes than were read */
    sf_json *block;
    int32_t left, values, depth;
} reader;

_Noreturn static void refuse(const reader *r, const char *why) {
    sf_give_up(r->room, SF_ERROR_FORMAT, "cannot read the bundle's manifest.json", "fetch or export the bundle again",
               "%s at byte %llu", why, (unsigned long long)(r->at - r->begin));
}

static sf_json *new_value(reader *r) {
    if (++r->values > VALUES_MOST) refuse(r, "there are more than 2^20 values");
    if (!r->left) {
        r->block = sf_take_zeroed(r->room, BLOCK, sizeof(sf_json));
        r->left = BLOCK;
    }
    return &r->block[BLOCK - r->left--];
}

static void skip_space(reader *r) {
    while (r->at < r->end && (*r->at == ' ' || *r->at == '\t' || *r->at == '\n' || *r->at == '\r')) r->at++;
}

/* The next byte that is no space, which stays; 0 at the end, where no JSON has a 0. */
static int next(reader *r) {
    skip_space(r);
    return r->at < r->end ? *r->at : 0;
}

static int is_digit(const reader *r) { return r->at < r->end && *r->at >= '0' && *r->at <= '9'; }

static uint32_t hex4(reader *r) {
    uint32_t code = 0;
    for (int i = 0; i < 4; i++, r->at++) {
        const int c = r->at < r->end ? *r->at : 0;
        const int lower = c | 32;
        if (c >= '0' && c <= '9')
            code = code * 16 + (uint32_t)(c - '0');
        else if (lower >= 'a' && lower <= 'f')
            code = code * 16 + (uint32_t)(lower - 'a' + 10);
        else
            refuse(r, "\\u wants four hexadecimal digits");
    }
    return code;
}

static void put(reader *r, uint32_t code) {
    if (code < 0x80) {
        *r->texts++ = (char)code;
    } else if (code < 0x800) {
        *r->texts++ = (char)(0xC0 | code >> 6);
        *r->texts++ = (char)(0x80 | (code & 63));
    } else if (code < 0x10000) {
        *r->texts++ = (char)(0xE0 | code >> 12);
        *r->texts++ = (char)(0x80 | (code >> 6 & 63));
        *r->texts++ = (char)(0x80 | (code & 63));
    } else {
        *r->texts++ = (char)(0xF0 | code >> 18);
        *r->texts++ = (char)(0x80 | (code >> 12 & 63));
        *r->texts++ = (char)(0x80 | (code >> 6 & 63));
        *r->texts++ = (char)(0x80 | (code & 63));
    }
}

static void read_escape(reader *r) {
    static const char names[] = "\"\\/bfnrt", means[] = "\"\\/\b\f\n\r\t";
    const int c = r->at < r->end ? *r->at++ : 0;
    const char *known = c ? strchr(names, c) : 0;
    if (known) {
        *r->texts++ = means[known - names];
        return;
    }
    if (c != 'u') refuse(r, "an escape is unknown");
    uint32_t code = hex4(r);
    if (code >= 0xD800 && code < 0xDC00) {
        if (r->end - r->at < 2 || r->at[0] != '\\' || r->at[1] != 'u') refuse(r, "half of a surrogate pair");
        r->at += 2;
        const uint32_t low = hex4(r);
        if (low < 0xDC00 || low > 0xDFFF) refuse(r, "half of a surrogate pair");
        code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
    } else if (code >= 0xDC00 && code < 0xE000) {
        refuse(r, "half of a surrogate pair");
    }
    if (!code) refuse(r, "a string holds a 0");
    put(r, code);
}

static void read_utf8(reader *r) {
    const size_t length = sf_utf8_length(r->at, (size_t)(r->end - r->at));
    if (!length) refuse(r, "a string is no UTF-8");
    memcpy(r->texts, r->at, length);
    r->texts += length;
    r->at += length;
}

/* What is between quotes; r->at is at the first one. */
static const char *read_string(reader *r) {
    const char *text = r->texts;
    r->at++;
    for (;;) {
        if (r->at == r->end) refuse(r, "a string does not end");
        const int c = *r->at;
        if (c == '"') break;
        if (c < 0x20) refuse(r, "a string holds a control character");
        if (c >= 0x80) {
            read_utf8(r);
        } else {
            r->at++;
            if (c == '\\')
                read_escape(r);
            else
                *r->texts++ = (char)c;
        }
    }
    r->at++;
    *r->texts++ = 0; /* in place of the quote */
    return text;
}

/* digits * 10^power. */
static double scaled(uint64_t digits, int64_t power) {
    static const double tens[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                  1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    double value = (double)digits;
    if (!digits) return 0;
    for (; power > 22; power -= 22)
        if (isinf(value *= tens[22])) return value;
    for (; power < -22; power += 22)
        if ((value /= tens[22]) == 0) return value;
    return power < 0 ? value / tens[-power] : value * tens[power];
}

static void read_number(reader *r, sf_json *value) {
    uint64_t digits = 0;
    int64_t power = 0, exponent = 0;
    const int negative = *r->at == '-';
    r->at += negative;
    value->whole = 1;
    if (!is_digit(r)) refuse(r, "a value is expected");
    if (*r->at == '0' && r->at + 1 < r->end && r->at[1] >= '0' && r->at[1] <= '9') refuse(r, "a number begins with 0");
    for (int fraction = 0;; fraction = 1) {
        for (; is_digit(r); r->at++) {
            if (digits < UINT64_MAX / 10 - 1) { /* 19 digits at least; a double holds 17 */
                digits = digits * 10 + (uint64_t)(*r->at - '0');
                power -= fraction;
            } else {
                power += !fraction;
            }
        }
        if (fraction || r->at == r->end || *r->at != '.') break;
        r->at++;
        value->whole = 0;
        if (!is_digit(r)) refuse(r, "a number ends at its point");
    }
    if (r->at < r->end && (*r->at | 32) == 'e') {
        r->at++;
        value->whole = 0;
        const int sign = r->at < r->end && (*r->at == '-' || *r->at == '+') ? *r->at++ : '+';
        if (!is_digit(r)) refuse(r, "a number ends at its exponent");
        for (; is_digit(r); r->at++)
            if (exponent < 1000000000) exponent = exponent * 10 + (*r->at - '0');
        if (sign == '-') exponent = -exponent;
    }
    const double size = scaled(digits, power + exponent);
    if (isinf(size)) refuse(r, "a number is larger than a double can be");
    value->kind = SF_JSON_NUMBER;
    value->number = negative ? -size : size;
}

static void read_word(reader *r, sf_json *value) {
    static const struct {
        char text[6];
        sf_json_kind kind;
    } words[] = {{"null", SF_JSON_NULL}, {"false", SF_JSON_FALSE}, {"true", SF_JSON_TRUE}};
    for (int i = 0; i < 3; i++) {
        const size_t length = strlen(words[i].text);
        if ((size_t)(r->end - r->at) < length || memcmp(r->at, words[i].text, length) != 0) continue;
        r->at += length;
        value->kind = words[i].kind;
        return;
    }
    read_number(r, value);
}

static sf_json *read_value(reader *r);

/* What is between brackets; r->at is at the first one. */
static void read_children(reader *r, sf_json *parent, int close) {
    const sf_json **tail = &parent->first;
    if (++r->depth > DEPTH_MOST) refuse(r, "it is nested deeper than 64 levels");
    r->at++;
    if (next(r) == close) {
        r->at++;
        r->depth--;
        return;
    }
    for (;;) {
        const char *name = 0;
        if (close == '}') {
            if (next(r) != '"') refuse(r, "a name in quotes is expected");
            name = read_string(r);
            if (next(r) != ':') refuse(r, "a : is expected");
            r->at++;
        }
        sf_json *child = read_value(r);
        child->name = name;
        *tail = child;
        tail = &child->next;
        parent->count++;
        const int c = next(r);
        if (c != ',' && c != close) refuse(r, "a comma or a closing bracket is expected");
        r->at++;
        if (c == close) break;
    }
    r->depth--;
}

static sf_json *read_value(reader *r) {
    sf_json *value = new_value(r);
    const int c = next(r);
    if (c == '{') {
        value->kind = SF_JSON_OBJECT;
        read_children(r, value, '}');
    } else if (c == '[') {
        value->kind = SF_JSON_ARRAY;
        read_children(r, value, ']');
    } else if (c == '"') {
        value->kind = SF_JSON_STRING;
        value->string = read_string(r);
    } else if (c) {
        read_word(r, value);
    } else {
        refuse(r, "a value is expected");
    }
    return value;
}

const sf_json *sf_json_read(sf_room *room, const char *text, size_t size) {
    reader r = {.room = room, .begin = (const unsigned char *)text};
    r.at = r.begin;
    r.end = r.begin + size;
    r.texts = sf_take(room, size, 1);
    const sf_json *value = read_value(&r);
    skip_space(&r);
    if (r.at != r.end) refuse(&r, "something follows the value");
    return value;
}

const sf_json *sf_json_get(const sf_json *value, const char *name) {
    const sf_json *found = 0;
    if (!value || value->kind != SF_JSON_OBJECT) return 0;
    for (const sf_json *member = value->first; member; member = member->next)
        if (strcmp(member->name, name) == 0) found = member;
    return found;
}
