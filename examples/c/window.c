/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A baked scene in a window, in real time, with SDL2: window SCENE [SECONDS]
 *
 * Frames follow the clock, not a count: a machine that is too slow shows fewer of them, at the right speed.
 */
#include <SDL.h>
#include <stdio.h>
#include <stdlib.h>

#include <stillflow.h>

/* At a multiple of SF_ALIGNMENT: SDL_SIMDAlloc's memory may be at one of less. */
static void *take(size_t bytes) {
    return aligned_alloc(SF_ALIGNMENT, (bytes + SF_ALIGNMENT) / SF_ALIGNMENT * SF_ALIGNMENT);
}

static int show(const sf_loop *loop, SDL_Renderer *renderer, SDL_Texture *texture, double seconds) {
    sf_facts facts = {.struct_size = sizeof facts};
    sf_target target = {.struct_size = sizeof target, .format = SF_BGRA};
    sf_loop_facts(loop, &target, &facts);
    void *frame = take(facts.frame_bytes), *rows = take(facts.rows_bytes);
    const Uint64 started = SDL_GetPerformanceCounter();
    double now = 0;
    int shown = 0, going = frame && rows;
    while (going && (seconds <= 0 || now < seconds)) {
        SDL_Event event;
        while (SDL_PollEvent(&event)) going = going && event.type != SDL_QUIT;
        void *pixels;
        int pitch;
        if (SDL_LockTexture(texture, NULL, &pixels, &pitch)) break;
        target.data = pixels;
        target.stride = pitch;
        now = (double)(SDL_GetPerformanceCounter() - started) / (double)SDL_GetPerformanceFrequency();
        int32_t status = sf_loop_at(loop, now * facts.fps, frame, facts.frame_bytes);
        if (!status) status = sf_loop_rows(loop, frame, 0, facts.height, &target, rows, facts.rows_bytes);
        SDL_UnlockTexture(texture);
        if (status) {
            fprintf(stderr, "window: %s\n", sf_status_text(status));
            break;
        }
        SDL_RenderCopy(renderer, texture, NULL, NULL);
        SDL_RenderPresent(renderer);
        shown++;
    }
    printf("window: %d frames in %.1f s\n", shown, now);
    free(frame);
    free(rows);
    return shown ? 0 : 2;
}

int main(int count, char **given) {
    sf_source source = {.struct_size = sizeof source, .path = count > 1 ? given[1] : ""};
    sf_error error = {.struct_size = sizeof error};
    sf_loop *loop = NULL;
    if (sf_loop_open(&source, &loop, &error)) {
        fprintf(stderr, "window: %s: %s\n  fix: %s\n", error.what, error.why, error.fix);
        return 2;
    }
    sf_facts facts = {.struct_size = sizeof facts};
    sf_loop_facts(loop, NULL, &facts);
    int result = 2;
    if (!SDL_Init(SDL_INIT_VIDEO)) {
        SDL_Window *window = SDL_CreateWindow("stillflow", SDL_WINDOWPOS_CENTERED, SDL_WINDOWPOS_CENTERED, facts.width,
                                              facts.height, SDL_WINDOW_RESIZABLE);
        SDL_Renderer *renderer = window ? SDL_CreateRenderer(window, -1, SDL_RENDERER_PRESENTVSYNC) : NULL;
        if (!renderer && window) renderer = SDL_CreateRenderer(window, -1, SDL_RENDERER_SOFTWARE);
        /* SDL's ARGB8888 is B, G, R, A in memory on a little-endian machine. */
        SDL_Texture *texture = NULL;
        if (renderer)
            texture = SDL_CreateTexture(renderer, SDL_PIXELFORMAT_ARGB8888, SDL_TEXTUREACCESS_STREAMING, facts.width,
                                        facts.height);
        if (texture) result = show(loop, renderer, texture, count > 2 ? atof(given[2]) : 0);
        else fprintf(stderr, "window: %s\n", SDL_GetError());
        SDL_Quit(); /* and with it the window and what belongs to it */
    } else {
        fprintf(stderr, "window: %s\n", SDL_GetError());
    }
    sf_loop_close(loop);
    return result;
}
