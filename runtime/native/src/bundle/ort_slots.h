/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ONNX Runtime's table of functions, as far as it is used here. The table only ever grows at its end, so that a slot's
 * number holds for good; what lies between is counted and left alone. All that is used is there since version 1.11.
 *
 * Calls give null, or a status that must be released. On 32-bit Windows they follow another convention.
 */
#ifndef SF_ORT_SLOTS_H
#define SF_ORT_SLOTS_H

#include <stddef.h>
#include <stdint.h>

#if defined(_WIN32)
#define ORT_CALL __stdcall
#else
#define ORT_CALL
#endif

/* Version of the table that is asked for: ONNX Runtime 1.18 and later have it. Older ones do not read our graphs, whose
 * ONNX IR version is 10; tried with 1.16.3, 1.18.0 and 1.32.0. */
#define ORT_TABLE 18

#define ORT_FATAL 4    /* log severity: errors come as statuses, and nothing is printed */
#define ORT_FLOAT32 1  /* element type, as ONNX numbers them */
#define ORT_TENSOR 1   /* kind of a value */
#define ORT_ARENA 1    /* allocator that ONNX Runtime's CPU memory is described by */
#define ORT_DEFAULT 0  /* memory type */

typedef struct ort_status ort_status;
typedef struct ort_env ort_env;
typedef struct ort_memory ort_memory;
typedef struct ort_session ort_session;
typedef struct ort_value ort_value;
typedef struct ort_type ort_type;
typedef struct ort_shape ort_shape;
typedef struct ort_options ort_options;
typedef struct ort_allocator ort_allocator;
typedef struct ort_provider ort_provider; /* options of CUDA or of TensorRT */

typedef void (*ort_unused)(void);
#define ORT_SKIP(from, to) ort_unused skip_##from[(to) - (from) + 1]

typedef struct ort_table {
    ORT_SKIP(0, 1);
    const char *(ORT_CALL *message)(const ort_status *status);                                            /* 2 */
    ort_status *(ORT_CALL *create_env)(int severity, const char *name, ort_env **env);                    /* 3 */
    ORT_SKIP(4, 7);
    ort_status *(ORT_CALL *create_session)(const ort_env *env, const void *graph, size_t size,            /* 8 */
                                           const ort_options *options, ort_session **session);
    ort_status *(ORT_CALL *run)(ort_session *session, const void *run_options, const char *const *input_names, /* 9 */
                                const ort_value *const *inputs, size_t input_count, const char *const *output_names,
                                size_t output_count, ort_value **outputs);
    ort_status *(ORT_CALL *create_options)(ort_options **options);                                        /* 10 */
    ORT_SKIP(11, 18);
    ort_status *(ORT_CALL *disable_arena)(ort_options *options);                                          /* 19 */
    ORT_SKIP(20, 21);
    ort_status *(ORT_CALL *set_severity)(ort_options *options, int severity);                             /* 22 */
    ORT_SKIP(23, 23);
    ort_status *(ORT_CALL *set_intra_threads)(ort_options *options, int threads);                         /* 24 */
    ort_status *(ORT_CALL *set_inter_threads)(ort_options *options, int threads);                         /* 25 */
    ORT_SKIP(26, 29);
    ort_status *(ORT_CALL *count[2])(const ort_session *session, size_t *count);                          /* 30, 31 */
    ORT_SKIP(32, 32);
    ort_status *(ORT_CALL *type[2])(const ort_session *session, size_t index, ort_type **type);           /* 33, 34 */
    ORT_SKIP(35, 35);
    ort_status *(ORT_CALL *name[2])(const ort_session *session, size_t index, ort_allocator *allocator,   /* 36, 37 */
                                    char **name);
    ORT_SKIP(38, 48);
    ort_status *(ORT_CALL *wrap)(const ort_memory *memory, void *data, size_t bytes, const int64_t *shape, /* 49 */
                                 size_t rank, int element, ort_value **value);
    ORT_SKIP(50, 50);
    ort_status *(ORT_CALL *data)(ort_value *value, void **data);                                          /* 51 */
    ORT_SKIP(52, 54);
    ort_status *(ORT_CALL *tensor_of)(const ort_type *type, const ort_shape **shape);                     /* 55 */
    ORT_SKIP(56, 59);
    ort_status *(ORT_CALL *element)(const ort_shape *shape, int *element);                                /* 60 */
    ort_status *(ORT_CALL *rank)(const ort_shape *shape, size_t *rank);                                   /* 61 */
    ort_status *(ORT_CALL *sides)(const ort_shape *shape, int64_t *sides, size_t rank);                   /* 62 */
    ORT_SKIP(63, 64);
    ort_status *(ORT_CALL *shape_of)(const ort_value *value, ort_shape **shape);                          /* 65 */
    ORT_SKIP(66, 68);
    ort_status *(ORT_CALL *create_memory)(int allocator, int memory_type, ort_memory **memory);           /* 69 */
    ORT_SKIP(70, 75);
    ort_status *(ORT_CALL *free)(ort_allocator *allocator, void *piece);                                  /* 76 */
    ORT_SKIP(77, 77);
    ort_status *(ORT_CALL *allocator)(ort_allocator **allocator);                                         /* 78 */
    ORT_SKIP(79, 91);
    void(ORT_CALL *release_env)(ort_env *env);                                                            /* 92 */
    void(ORT_CALL *release_status)(ort_status *status);                                                   /* 93 */
    void(ORT_CALL *release_memory)(ort_memory *memory);                                                   /* 94 */
    void(ORT_CALL *release_session)(ort_session *session);                                                /* 95 */
    void(ORT_CALL *release_value)(ort_value *value);                                                      /* 96 */
    ORT_SKIP(97, 97);
    void(ORT_CALL *release_type)(ort_type *type);                                                         /* 98 */
    void(ORT_CALL *release_shape)(ort_shape *shape);                                                      /* 99 */
    void(ORT_CALL *release_options)(ort_options *options);                                                /* 100 */
    ORT_SKIP(101, 129);
    ort_status *(ORT_CALL *set_entry)(ort_options *options, const char *key, const char *value);          /* 130 */
    ORT_SKIP(131, 169);
    ort_status *(ORT_CALL *append_tensorrt)(ort_options *options, const ort_provider *provider);          /* 170 */
    ort_status *(ORT_CALL *create_tensorrt)(ort_provider **provider);                                     /* 171 */
    ort_status *(ORT_CALL *update_tensorrt)(ort_provider *provider, const char *const *keys,              /* 172 */
                                            const char *const *values, size_t count);
    ORT_SKIP(173, 173);
    void(ORT_CALL *release_tensorrt)(ort_provider *provider);                                             /* 174 */
    ORT_SKIP(175, 203);
    ort_status *(ORT_CALL *append_cuda)(ort_options *options, const ort_provider *provider);              /* 204 */
    ort_status *(ORT_CALL *create_cuda)(ort_provider **provider);                                         /* 205 */
    ort_status *(ORT_CALL *update_cuda)(ort_provider *provider, const char *const *keys,                  /* 206 */
                                        const char *const *values, size_t count);
    ORT_SKIP(207, 207);
    void(ORT_CALL *release_cuda)(ort_provider *provider);                                                 /* 208 */
} ort_table;

_Static_assert(offsetof(ort_table, release_options) == 100 * sizeof(ort_unused), "slots are counted wrong before 100");
_Static_assert(offsetof(ort_table, set_entry) == 130 * sizeof(ort_unused), "slots are counted wrong before 130");
_Static_assert(offsetof(ort_table, release_cuda) == 208 * sizeof(ort_unused), "slots are counted wrong before 208");

/* What the library's only function of ours gives. */
typedef struct ort_base {
    const ort_table *(ORT_CALL *table)(uint32_t version);
    const char *(ORT_CALL *version)(void);
} ort_base;

typedef const ort_base *(ORT_CALL *ort_entry)(void); /* OrtGetApiBase */

#endif
