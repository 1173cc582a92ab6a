/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Occlusion order: stillflow.order. Every connected piece of the class map gets a rank from far to near. Three cues
 * decide each contact (after Hoiem, Efros and Hebert 2011): what the two are, which one bulges over the other, which one
 * lies lower in the picture. Contradicting contacts are settled by ranked pairs (Tideman 1987).
 */
#include <string.h>

#include "motion/motion.h"
#include "raster/raster.h"

#define MOST_PIECES 60     /* that are compared with each other: a set of them fits into 64 bits */
#define LEAST_SHARE 4e-4   /* of the picture, below which a piece is not compared */
#define BULGE_SIGMA 0.03   /* picture widths: scale at which an outline's bulge is measured */
#define ALWAYS 4.0         /* score of what holds in every photo; the other cues together stay below it */
#define BULGE_WEIGHT 4.0
#define BELOW_WEIGHT 0.6        /* score of a contact at which one thing lies wholly below the other */
#define WATER_BELOW_WEIGHT 1.1  /* water is flat */
#define RISING_BELOW_WEIGHT 0.2 /* smoke and fire rise: what they hide lies below them as well */
#define MOST_PAIRS (MOST_PIECES * (MOST_PIECES - 1) / 2)

/* Connected pieces of one class. place is a piece's number among the large ones, which are compared, or -1. */
typedef struct pieces {
    int32_t count, large;
    int32_t *label; /* (h, w) */
    int32_t *area;
    uint8_t *kind;
    int8_t *place;
    uint8_t kind_of[MOST_PIECES]; /* by place */
    uint32_t kinds;               /* bit c: class c is seen */
} pieces;

/* Where two large pieces touch: a sample and the one to its right or below it; share: see find_shares. */
typedef struct contact {
    int32_t here, there;
    float here_share, there_share;
} contact;

/* How two large pieces touch; first < second by place. bulge and below are > 0 where the first is in front, below. */
typedef struct pair {
    int32_t first, second, length;
    double bulge, below, score, strength;
} pair;

static void choose_large(pieces *p, size_t samples) {
    const double share = LEAST_SHARE * (double)samples, least = share > 4 ? share : 4;
    int32_t found = 0, largest = 0, most[MOST_PIECES + 1] = {0}; /* the largest areas, falling */
    for (int32_t i = 0; i < p->count; i++) {
        int32_t k = MOST_PIECES;
        found += p->area[i] >= least;
        if (p->area[i] > p->area[largest]) largest = i;
        if (p->area[i] <= most[k]) continue;
        for (; k > 0 && most[k - 1] < p->area[i]; k--) most[k] = most[k - 1];
        most[k] = p->area[i];
    }
    const int32_t above = found > MOST_PIECES ? most[MOST_PIECES] : 0;
    p->large = 0;
    for (int32_t i = 0; i < p->count; i++)
        p->place[i] = p->area[i] >= least && p->area[i] > above ? (int8_t)p->large++ : -1;
    if (!p->large) p->place[largest] = (int8_t)p->large++;
    for (int32_t i = 0; i < p->count; i++)
        if (p->place[i] >= 0) p->kind_of[p->place[i]] = p->kind[i];
}

static pieces find_pieces(sf_room *room, const uint8_t *classes, int h, int w) {
    const size_t n = (size_t)h * (size_t)w;
    pieces p = {.label = sf_take(room, n, sizeof(int32_t)), .area = sf_take(room, n, sizeof(int32_t))};
    p.kind = sf_take(room, n, 1);
    p.place = sf_take(room, n, 1);
    uint8_t *own = sf_take(room, n, 1);
    int32_t *labels = sf_take(room, n, sizeof *labels);
    for (size_t k = 0; k < n; k++) p.kinds |= 1u << classes[k];
    for (uint32_t c = 0; c < SF_CLASSES; c++) {
        if (!(p.kinds >> c & 1)) continue;
        const sf_mark mark = sf_room_mark(room);
        sf_part *parts;
        for (size_t k = 0; k < n; k++) own[k] = classes[k] == c;
        /* Diagonal neighbours count as connected: twigs are one sample wide. */
        const int32_t count = sf_components(room, own, h, w, 8, labels, &parts);
        for (size_t k = 0; k < n; k++)
            if (labels[k]) p.label[k] = p.count + labels[k] - 1;
        for (int32_t i = 1; i < count; i++) {
            p.kind[p.count] = (uint8_t)c;
            p.area[p.count++] = parts[i].area;
        }
        sf_room_rewind(room, mark);
    }
    choose_large(&p, n);
    return p;
}

/* All contacts of large pieces, first those side by side, then those one above the other; found may be null. */
static size_t find_contacts(const pieces *p, int h, int w, contact *found) {
    size_t count = 0;
    for (int down = 0; down < 2; down++)
        for (int y = 0; y < h - down; y++)
            for (int x = 0; x < w - !down; x++) {
                const int32_t here = y * w + x, there = here + (down ? w : 1), a = p->label[here], b = p->label[there];
                if (a == b || p->place[a] < 0 || p->place[b] < 0) continue;
                if (found) found[count] = (contact){here, there, 0, 0};
                count++;
            }
    return count;
}

/* How much of a contact's neighbourhood the class of either side fills: the one in front, convex there, fills less. */
static void find_shares(sf_room *room, const uint8_t *classes, int h, int w, contact *contacts, size_t count) {
    const double sigma = BULGE_SIGMA * w > 1 ? BULGE_SIGMA * w : 1;
    const size_t n = (size_t)h * (size_t)w;
    uint32_t kinds = 0;
    for (size_t i = 0; i < count; i++) kinds |= 1u << classes[contacts[i].here] | 1u << classes[contacts[i].there];
    if (!kinds) return;
    float *own = sf_take(room, n, sizeof *own), *share = sf_take(room, n, sizeof *share);
    for (uint32_t c = 0; c < SF_CLASSES; c++) {
        if (!(kinds >> c & 1)) continue;
        for (size_t k = 0; k < n; k++) own[k] = classes[k] == c;
        /* Beyond the border a picture goes on as it ends there: the border is no outline. */
        sf_gaussian_beyond_f32(room, own, h, w, 1, sigma, SF_REPLICATE, share);
        for (size_t i = 0; i < count; i++) {
            contact *t = &contacts[i];
            const float both = (share[t->here] + share[t->there]) / 2;
            if (classes[t->here] == c) t->here_share = both;
            if (classes[t->there] == c) t->there_share = both;
        }
    }
}

/* Mean of the contacts of each pair that touches, in the order of the pairs; returns their count. */
static int32_t find_pairs(sf_room *room, const pieces *p, int w, const contact *contacts, size_t count, pair *pairs) {
    pair *table = sf_take_zeroed(room, MOST_PIECES * MOST_PIECES, sizeof *table);
    for (size_t i = 0; i < count; i++) {
        const contact *t = &contacts[i];
        const int32_t a = p->place[p->label[t->here]], b = p->place[p->label[t->there]];
        const double sign = a > b ? -1 : 1, down = t->there == t->here + 1 && w > 1 ? 0 : -1;
        pair *found = &table[a > b ? b * MOST_PIECES + a : a * MOST_PIECES + b];
        found->length++;
        found->bulge += (double)(t->there_share - t->here_share) * sign;
        found->below += down * sign;
    }
    int32_t n = 0;
    for (int32_t i = 0; i < MOST_PIECES * MOST_PIECES; i++) {
        if (!table[i].length) continue;
        pairs[n] = table[i];
        pairs[n].first = i / MOST_PIECES;
        pairs[n].second = i % MOST_PIECES;
        pairs[n].bulge /= table[i].length;
        pairs[n++].below /= table[i].length;
    }
    return n;
}

/* How sure it is that the first of a pair is in front (> 0) or behind (< 0). */
static double score_of(uint8_t a, uint8_t b, double bulge, double below) {
    /* What is in front more often: flames are seen before what burns, a photo was taken of people and animals. */
    static const double nearness[SF_CLASSES] = {
        [SF_FOLIAGE] = 0.15, [SF_PERSON] = 0.5, [SF_ANIMAL] = 0.5, [SF_CLOTH] = 0.4, [SF_SMOKE] = 0.1, [SF_FIRE] = 1.2,
    };
    static const uint8_t farthest[] = {SF_SKY, SF_CLOUD};
    for (int i = 0; i < 2; i++)
        if ((a == farthest[i]) != (b == farthest[i])) return a == farthest[i] ? -ALWAYS : ALWAYS;
    const int rises = a == SF_SMOKE || a == SF_FIRE || b == SF_SMOKE || b == SF_FIRE;
    const int wet = a == SF_WATER || b == SF_WATER;
    const double weight = rises ? RISING_BELOW_WEIGHT : wet ? WATER_BELOW_WEIGHT : BELOW_WEIGHT, most = ALWAYS - 0.01;
    const double score = nearness[a] - nearness[b] + BULGE_WEIGHT * bulge + weight * below;
    return score < -most ? -most : score > most ? most : score;
}

/* The surest pair first; a long contact is surer than a short one; what always holds comes before all. */
static void sort_pairs(const pieces *p, pair *pairs, int32_t count) {
    for (int32_t i = 0; i < count; i++) {
        pair own = pairs[i];
        own.score = score_of(p->kind_of[own.first], p->kind_of[own.second], own.bulge, own.below);
        own.strength = fabs(own.score) * sqrt(own.length) + (fabs(own.score) >= ALWAYS ? 1e6 : 0);
        int32_t k = i;
        for (; k > 0 && pairs[k - 1].strength < own.strength; k--) pairs[k] = pairs[k - 1];
        pairs[k] = own;
    }
}

/* Rank of each large piece: the longest chain of accepted pairs behind it. A pair that would close a circle is not. */
static void rank_pieces(const pair *pairs, int32_t count, int32_t large, uint8_t *rank) {
    uint64_t behind[MOST_PIECES] = {0}, beyond[MOST_PIECES] = {0}; /* accepted pairs; all that chains of them reach */
    for (int32_t i = 0; i < count; i++) {
        const int32_t near = pairs[i].score > 0 ? pairs[i].first : pairs[i].second;
        const int32_t far = pairs[i].score > 0 ? pairs[i].second : pairs[i].first;
        if (beyond[far] >> near & 1) continue;
        behind[near] |= (uint64_t)1 << far;
        for (int32_t k = 0; k < large; k++)
            if (k == near || beyond[k] >> near & 1) beyond[k] |= beyond[far] | (uint64_t)1 << far;
    }
    memset(rank, 0, MOST_PIECES);
    for (int changed = 1; changed;) {
        changed = 0;
        for (int32_t i = 0; i < large; i++)
            for (int32_t k = 0; k < large; k++)
                if (behind[i] >> k & 1 && rank[i] <= rank[k]) {
                    rank[i] = (uint8_t)(rank[k] + 1);
                    changed = 1;
                }
    }
}

/* Give small pieces the rank of the nearest large piece of their class, or one more than what is around. */
static void small_follow_large(sf_room *room, const uint8_t *classes, const pieces *p, int h, int w, uint8_t *order) {
    const size_t n = (size_t)h * (size_t)w;
    uint32_t small = 0, large = 0;
    for (size_t k = 0; k < n; k++) *(p->place[p->label[k]] < 0 ? &small : &large) |= 1u << classes[k];
    if (!small) return;
    const int32_t without = (int32_t)(small & ~large & ~(1u << SF_SKY | 1u << SF_CLOUD));
    int32_t *known = sf_take(room, n, sizeof *known);
    uint8_t *given = sf_take(room, n, 1);
    memcpy(given, order, n);
    for (uint32_t c = 0; c <= SF_CLASSES; c++) {
        const int around = c == SF_CLASSES; /* the last round: classes without a large piece */
        if (around ? !without : !(small & large & 1u << c)) continue;
        for (size_t k = 0; k < n; k++)
            known[k] = p->place[p->label[k]] >= 0 && (around || classes[k] == c) ? given[k] + 1 : 0;
        sf_nearest_owner(room, known, h, w, known);
        for (size_t k = 0; k < n; k++) {
            if (p->place[p->label[k]] >= 0 || !(around ? without >> classes[k] & 1 : classes[k] == c)) continue;
            order[k] = (uint8_t)(known[k] - 1 + around);
        }
    }
    for (size_t k = 0; k < n; k++)
        if (p->place[p->label[k]] < 0 && !(large >> classes[k] & 1) && (classes[k] == SF_SKY || classes[k] == SF_CLOUD))
            order[k] = 0;
}

void sf_occlusion_order(sf_room *room, const uint8_t *classes, int h, int w, uint8_t *order) {
    const size_t n = (size_t)h * (size_t)w;
    const sf_mark mark = sf_room_mark(room);
    const pieces p = find_pieces(room, classes, h, w);
    const size_t count = find_contacts(&p, h, w, 0);
    contact *contacts = sf_take(room, count, sizeof *contacts);
    find_contacts(&p, h, w, contacts);
    find_shares(room, classes, h, w, contacts, count);
    pair *pairs = sf_take(room, MOST_PAIRS, sizeof *pairs);
    const int32_t touching = find_pairs(room, &p, w, contacts, count, pairs);
    uint8_t rank[MOST_PIECES];
    sort_pairs(&p, pairs, touching);
    rank_pieces(pairs, touching, p.large, rank);
    int apart = 0;
    for (int32_t i = 0; i < p.count; i++) apart |= p.kind[i] != SF_SKY && !(p.place[i] >= 0 && rank[p.place[i]]);
    /* Where there is sky, rank 0 is its own: what touches none of it is nearer all the same. */
    const int sky = p.kinds >> SF_SKY & 1, nearer = sky && apart;
    for (size_t k = 0; k < n; k++) {
        const int8_t place = p.place[p.label[k]];
        const int own = place >= 0 ? rank[place] : 0;
        order[k] = (uint8_t)(nearer ? classes[k] == SF_SKY ? 0 : own + 1 : own);
    }
    small_follow_large(room, classes, &p, h, w, order);
    sf_room_rewind(room, mark);
}
