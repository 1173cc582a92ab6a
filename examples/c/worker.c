/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A client of the worker (docs/worker.md): a photo, animated in another process, as raw RGB frames.
 *
 *     worker PHOTO FRAMES.rgb [SECONDS] [shared|piped|cancelled] [PROGRAM]
 *
 * PROGRAM is stillflow, found by PATH; it is run as `PROGRAM serve --stdio`. "shared" takes the frames from shared
 * memory, "piped" (the default) from the pipe; "cancelled" stops the loop's making as soon as it has begun.
 */
#define _POSIX_C_SOURCE 200809L
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define MOST_JSON (1u << 20)
#define MOST_PAYLOAD (1u << 28)
#define SLOTS 3

typedef struct reply {
    char *text; /* JSON, ended by 0 */
    unsigned char *payload;
    uint32_t payload_bytes;
} reply;

static int write_all(int to, const void *bytes, size_t size) {
    const char *p = bytes;
    while (size) {
        ssize_t n = write(to, p, size);
        if (n <= 0) return 0;
        p += n;
        size -= (size_t)n;
    }
    return 1;
}

static int read_all(int from, void *bytes, size_t size) {
    char *p = bytes;
    while (size) {
        ssize_t n = read(from, p, size);
        if (n <= 0) return 0;
        p += n;
        size -= (size_t)n;
    }
    return 1;
}

static void put32(unsigned char *p, uint32_t v) {
    for (int k = 0; k < 4; k++) p[k] = (unsigned char)(v >> 8 * k);
}

static uint32_t get32(const unsigned char *p) {
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static int ask(int to, const char *json) {
    unsigned char lengths[8];
    put32(lengths, (uint32_t)strlen(json));
    put32(lengths + 4, 0);
    return write_all(to, lengths, 8) && write_all(to, json, strlen(json));
}

static void drop(reply *r) {
    free(r->text);
    free(r->payload);
    memset(r, 0, sizeof *r);
}

static int hear(int from, reply *r) {
    unsigned char lengths[8];
    memset(r, 0, sizeof *r);
    if (!read_all(from, lengths, 8)) return 0;
    uint32_t size = get32(lengths);
    r->payload_bytes = get32(lengths + 4);
    if (size > MOST_JSON || r->payload_bytes > MOST_PAYLOAD) return 0;
    r->text = calloc(1, (size_t)size + 1);
    r->payload = malloc((size_t)r->payload_bytes + 1);
    return r->text && r->payload && read_all(from, r->text, size) && read_all(from, r->payload, r->payload_bytes);
}

/*
 * Where a member's value begins; null where there is none. Enough for the worker's own replies, whose members are
 * looked for by names that occur nowhere else in them; a product has a JSON library.
 */
static const char *member(const reply *r, const char *name) {
    char quoted[64];
    snprintf(quoted, sizeof quoted, "\"%s\":", name);
    const char *found = strstr(r->text, quoted);
    return found ? found + strlen(quoted) : NULL;
}

static int is(const reply *r, const char *type) {
    const char *found = member(r, "type");
    return found && !strncmp(found + 1, type, strlen(type)) && found[1 + strlen(type)] == '"';
}

static long number(const reply *r, const char *name) {
    const char *found = member(r, name);
    return found ? strtol(found, NULL, 10) : -1;
}

/* A path as a JSON string. */
static int quote(const char *text, char *to, size_t room) {
    size_t n = 0;
    for (; *text; text++) {
        if (n + 8 > room) return 0;
        if (*text == '"' || *text == '\\') to[n++] = '\\';
        if ((unsigned char)*text < 32) n += (size_t)snprintf(to + n, 7, "\\u%04x", (unsigned)*text);
        else to[n++] = *text;
    }
    to[n] = 0;
    return 1;
}

typedef struct worker {
    int to, from;
    pid_t process;
} worker;

static int start(worker *w, const char *program) {
    int in[2], out[2];
    if (pipe(in)) return 0;
    if (pipe(out)) return 0;
    signal(SIGPIPE, SIG_IGN); /* a worker that is gone is an error of write, not the end of this program */
    w->process = fork();
    if (w->process < 0) return 0;
    if (!w->process) {
        dup2(in[0], 0);
        dup2(out[1], 1);
        for (int k = 0; k < 2; k++) {
            close(in[k]);
            close(out[k]);
        }
        execlp(program, program, "serve", "--stdio", (char *)NULL);
        _exit(127);
    }
    close(in[0]);
    close(out[1]);
    w->to = in[1];
    w->from = out[0];
    return 1;
}

/* Replies up to the last one of a request; progress is told. The last one stays in r. */
static int await(const worker *w, reply *r) {
    while (hear(w->from, r)) {
        if (!is(r, "progress")) {
            if (is(r, "error")) fprintf(stderr, "worker: %s\n", r->text);
            return 1;
        }
        fprintf(stderr, "worker: %s\n", member(r, "stage"));
        drop(r);
    }
    fprintf(stderr, "worker: the worker ended\n");
    return 0;
}

static int take_frames(const worker *w, long frames, long bytes, int shared, FILE *out) {
    char name[64], request[512], memory[256] = "";
    unsigned char *map = NULL;
    const size_t slot = ((size_t)bytes + 63) / 64 * 64, size = SLOTS * slot;
    snprintf(name, sizeof name, "/stillflow-%ld", (long)getpid());
    if (shared) {
        int file = shm_open(name, O_RDWR | O_CREAT | O_EXCL, 0600);
        if (file < 0 || ftruncate(file, (off_t)size)) return 0;
        map = mmap(NULL, size, PROT_READ, MAP_SHARED, file, 0);
        close(file);
        if (map == MAP_FAILED) return 0;
        snprintf(memory, sizeof memory, ",\"memory\":{\"name\":\"%s\",\"bytes\":%zu,\"slots\":%d}", name, size, SLOTS);
    }
    snprintf(request, sizeof request, "{\"type\":\"frames\",\"id\":2,\"loop\":\"loop-1\"%s}", memory);
    int good = ask(w->to, request);
    for (long k = 0; good && k < frames; k++) {
        reply r;
        good = hear(w->from, &r) && is(&r, "frame") && number(&r, "index") == k && number(&r, "bytes") == bytes;
        const unsigned char *pixels = good && shared ? map + number(&r, "offset") : r.payload;
        good = good && fwrite(pixels, 1, (size_t)bytes, out) == (size_t)bytes;
        if (!good && r.text) fprintf(stderr, "worker: %s\n", r.text);
        snprintf(request, sizeof request, "{\"type\":\"free\",\"id\":2,\"index\":%ld}", k);
        if (good && shared) good = ask(w->to, request);
        drop(&r);
    }
    reply last = {0};
    good = good && hear(w->from, &last) && is(&last, "done");
    drop(&last);
    if (map) {
        munmap(map, size);
        shm_unlink(name);
    }
    return good;
}

static int talk(const worker *w, const char *photo, const char *seconds, const char *how, FILE *out) {
    reply r = {0};
    char path[4096], request[8192];
    int good = hear(w->from, &r) && is(&r, "hello");
    good = good && member(&r, "protocol") && !strncmp(member(&r, "protocol"), "\"1.", 3);
    fprintf(stderr, "worker: %s\n", good ? r.text : "no worker, or one of another protocol");
    drop(&r);
    if (!good || !quote(photo, path, sizeof path)) return 0;
    snprintf(request, sizeof request, "{\"type\":\"animate\",\"id\":1,\"photo\":\"%s\",\"seconds\":%s}", path, seconds);
    if (!ask(w->to, request)) return 0;
    if (!strcmp(how, "cancelled")) {
        good = ask(w->to, "{\"type\":\"cancel\",\"id\":3,\"request\":1}");
        int stopped = 0;
        for (int k = 0; good && k < 2; k++) { /* the cancel's own answer, and the loop's */
            good = await(w, &r);
            stopped = stopped || is(&r, "cancelled");
            drop(&r);
        }
        fprintf(stderr, "worker: %s\n", stopped ? "stopped" : "it was done before");
        return good && stopped;
    }
    good = await(w, &r) && is(&r, "loop");
    const long frames = good ? number(&r, "frames") : 0;
    const long bytes = good ? 3 * number(&r, "width") * number(&r, "height") : 0;
    drop(&r);
    return good && take_frames(w, frames, bytes, !strcmp(how, "shared"), out);
}

int main(int count, char **given) {
    if (count < 3) {
        fprintf(stderr, "usage: worker PHOTO FRAMES.rgb [SECONDS] [shared|piped|cancelled] [PROGRAM]\n");
        return 2;
    }
    worker w;
    FILE *out = fopen(given[2], "wb");
    if (!out || !start(&w, count > 5 ? given[5] : "stillflow")) {
        fprintf(stderr, "worker: cannot begin\n");
        return 2;
    }
    int good = talk(&w, given[1], count > 3 ? given[3] : "4", count > 4 ? given[4] : "piped", out);
    good = ask(w.to, "{\"type\":\"bye\",\"id\":9}") && good;
    close(w.to);
    reply r;
    while (hear(w.from, &r)) drop(&r);
    drop(&r);
    int status = 0;
    waitpid(w.process, &status, 0);
    if (fclose(out)) good = 0;
    return good && WIFEXITED(status) && !WEXITSTATUS(status) ? 0 : 2;
}
