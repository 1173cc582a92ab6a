/* SPDX-License-Identifier: Apache-2.0 */
/* Streams that do nothing until they must, events, and recording into graphs. */
#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <pthread.h>

#include "driver.h"

static std::set<Stream *> streams;
static std::set<Stream *> leaving; /* given back with work in them, which is still done */
static std::map<Context *, Stream *> legacy;
static std::set<Event *> events;
static std::set<Graph *> graphs;
static std::set<GraphExec *> executables;
static std::set<std::shared_ptr<Capture>> captures;
static uint64_t numbers;

size_t stream_count() { return streams.size(); }
size_t event_count() { return events.size(); }
size_t graph_count() { return graphs.size() + executables.size(); }

static double now() {
    return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

Stream *stream_of(void *handle) {
    Context *context = current_context();
    if (!context) return nullptr;
    if ((uintptr_t)handle <= 2) { /* null, legacy, per thread: one stream here */
        Stream *&stream = legacy[context];
        if (!stream) stream = new Stream{context, true, {}, nullptr};
        return stream;
    }
    Stream *stream = static_cast<Stream *>(handle);
    return streams.count(stream) && stream->context == context ? stream : nullptr;
}
static bool is_legacy(const Stream *stream) {
    auto found = legacy.find(stream->context);
    return found != legacy.end() && found->second == stream;
}

static int run_until(Stream *stream, const Point *point);

static int run_one(Stream *stream) {
    Operation one = stream->queue.front();
    stream->queue.pop_front();
    int status = lost();
    if (!status && one.awaited && !one.awaited->passed) status = run_until(one.awaited->stream, one.awaited.get());
    if (!status && one.work && !work_is_off()) status = one.work();
    if (one.point) one.point->passed = true, one.point->milliseconds = now();
    return status ? lose(status) : lost();
}

/* Everything up to a point, or all there is. */
static int run_until(Stream *stream, const Point *point) {
    if (stream->running) return SUCCESS;
    stream->running = true;
    while (!stream->queue.empty() && !(point && point->passed)) run_one(stream);
    stream->running = false;
    return lost();
}
int finish(Stream *stream) {
    if (!stream) return INVALID_HANDLE;
    if (stream->capture) return stream->capture->broken = true, CAPTURE_UNSUPPORTED;
    return run_until(stream, nullptr);
}
int finish_all(Context *context) {
    for (const auto *some : {&streams, &leaving})
        for (Stream *stream : *some)
            if (stream->context == context) run_until(stream, nullptr);
    auto found = legacy.find(context);
    if (found != legacy.end()) run_until(found->second, nullptr);
    return lost();
}
void forget_context(Context *context) {
    /* What others may still point to keeps its few bytes. */
    for (auto stream = streams.begin(); stream != streams.end();)
        if ((*stream)->context == context) (*stream)->queue.clear(), stream = streams.erase(stream);
        else ++stream;
    for (Stream *stream : leaving)
        if (stream->context == context) stream->queue.clear();
    for (auto event = events.begin(); event != events.end();)
        event = (*event)->context == context ? events.erase(event) : std::next(event);
    legacy.erase(context);
    forget_memory(context);
}

/*
 * STAND_IN_EAGER: in so many of a hundred calls some stream does the first of what it was given, any stream, as a real
 * device does all the time. What is wrong when work is done late shows without; what is wrong when it is done early, with.
 */
static int go_ahead() {
    static const unsigned percent = (unsigned)atoi(setting("STAND_IN_EAGER", "0"));
    static uint64_t state = strtoull(setting("STAND_IN_SEED", "1"), nullptr, 10) * 2654435769u + 1;
    if (!percent) return SUCCESS;
    auto next = [] { return state = state * 6364136223846793005u + 1442695040888963407u, (unsigned)(state >> 33); };
    while (next() % 100 < percent) {
        std::vector<Stream *> busy;
        for (const auto *some : {&streams, &leaving})
            for (Stream *one : *some)
                if (!one->queue.empty() && !one->running) busy.push_back(one);
        std::sort(busy.begin(), busy.end(), [](Stream *a, Stream *b) { return a->number < b->number; });
        if (busy.empty()) break;
        run_one(busy[next() % busy.size()]);
    }
    return SUCCESS; /* what failed is told by the next call */
}

static PointRef mark(Stream *stream) {
    auto point = std::make_shared<Point>(Point{stream});
    if (stream->queue.empty()) {
        point->passed = true, point->milliseconds = now();
        return point;
    }
    stream->queue.push_back({nullptr, nullptr, point});
    return point;
}

int enqueue(Stream *stream, Work work) {
    if (stream->capture) {
        if (stream->capture->broken) return CAPTURE_INVALIDATED;
        if (stream != stream->capture->origin) stream->capture->forked.insert(stream);
        stream->capture->works.push_back(std::move(work));
        return SUCCESS;
    }
    /* The legacy default stream and the blocking ones wait for each other. */
    if (is_legacy(stream)) {
        for (Stream *other : streams)
            if (other->blocking && other->context == stream->context) {
                if (other->capture) return other->capture->broken = true, CAPTURE_IMPLICIT;
                if (!other->queue.empty()) stream->queue.push_back({nullptr, mark(other), nullptr});
            }
    } else if (stream->blocking) {
        auto found = legacy.find(stream->context);
        if (found != legacy.end() && !found->second->queue.empty())
            stream->queue.push_back({nullptr, mark(found->second), nullptr});
    }
    stream->queue.push_back({std::move(work), nullptr, nullptr});
    return go_ahead();
}

/* A context cannot be waited for while one of its streams is recorded, in any mode and from any thread. */
int refused_while_any_captures(Context *context) {
    int status = SUCCESS;
    for (const auto &capture : captures)
        if (capture->origin->context == context) capture->broken = true, status = CAPTURE_UNSUPPORTED;
    return status;
}

int refused_while_capturing() {
    for (const auto &capture : captures)
        if (capture->mode == 0 || (capture->mode == 1 && capture->thread == (unsigned long)pthread_self()))
            return capture->broken = true, CAPTURE_UNSUPPORTED;
    return SUCCESS;
}

extern "C" {

CUresult cuStreamCreateWithPriority(Stream **stream, unsigned flags, int priority) {
    ENTER;
    NEED_CONTEXT;
    *stream = new Stream{current_context(), !(flags & 1), {}, nullptr};
    (*stream)->priority = priority, (*stream)->flags = flags, (*stream)->number = ++numbers;
    streams.insert(*stream);
    return SUCCESS;
}
CUresult cuStreamCreate(Stream **stream, unsigned flags) { return cuStreamCreateWithPriority(stream, flags, 0); }

CUresult cuStreamDestroy_v2(Stream *stream) {
    ENTER;
    if (!streams.count(stream)) return INVALID_HANDLE;
    if (stream->capture) captures.erase(stream->capture);
    streams.erase(stream);
    /* Nobody waits here. Events may point to it, so its few bytes stay where it has work left. */
    if (stream->queue.empty()) delete stream;
    else leaving.insert(stream);
    return SUCCESS;
}

#define STREAM                                                                                                         \
    NEED_CONTEXT;                                                                                                      \
    Stream *on = stream_of(stream);                                                                                    \
    if (!on) return INVALID_HANDLE

CUresult cuStreamGetPriority(void *stream, int *priority) {
    ENTER;
    STREAM;
    *priority = on->priority;
    return SUCCESS;
}
CUresult cuStreamGetFlags(void *stream, unsigned *flags) {
    ENTER;
    STREAM;
    *flags = on->flags;
    return SUCCESS;
}
CUresult cuStreamGetId(void *stream, unsigned long long *id) {
    ENTER;
    STREAM;
    *id = on->number;
    return SUCCESS;
}
CUresult cuStreamGetCtx(void *stream, Context **context) {
    ENTER;
    Stream *on = (uintptr_t)stream <= 2 ? stream_of(stream) : static_cast<Stream *>(stream);
    if (!on || ((uintptr_t)stream > 2 && !streams.count(on))) return INVALID_HANDLE;
    *context = on->context;
    return SUCCESS;
}
CUresult cuStreamGetCtx_v2(void *stream, Context **context, void **green) {
    if (green) *green = nullptr;
    return cuStreamGetCtx(stream, context);
}
CUresult cuStreamGetDevice(void *stream, CUdevice *device) {
    ENTER;
    STREAM;
    *device = on->context->device;
    return SUCCESS;
}

CUresult cuStreamSynchronize(void *stream) {
    ENTER;
    STREAM;
    if (int status = refused_while_capturing()) return status;
    return finish(on);
}

/* Each question does one piece of work, so that whoever keeps asking gets an answer. */
CUresult cuStreamQuery(void *stream) {
    ENTER;
    STREAM;
    if (on->capture) return on->capture->broken = true, CAPTURE_UNSUPPORTED;
    if (on->queue.empty()) return SUCCESS;
    const int status = run_one(on);
    return status ? status : NOT_READY;
}

CUresult cuStreamWaitEvent(void *stream, Event *event, unsigned) {
    ENTER;
    STREAM;
    if (!events.count(event)) return INVALID_HANDLE;
    if (event->capture) { /* joins the capture, or is joined */
        if (!captures.count(event->capture)) return INVALID_VALUE;
        if (on->capture && on->capture != event->capture) return on->capture->broken = true, CAPTURE_INVALIDATED;
        on->capture = event->capture;
        on->capture->streams.insert(on);
        if (on == on->capture->origin)
            on->capture->forked.erase(event->captured);
        else
            on->capture->forked.insert(on);
        return SUCCESS;
    }
    if (on->capture) return on->capture->broken = true, 905; /* isolation: an event from outside */
    if (!event->point || event->point->passed) return SUCCESS;
    on->queue.push_back({nullptr, event->point, nullptr});
    return SUCCESS;
}

CUresult cuStreamAddCallback(void *stream, void (*call)(void *, CUresult, void *), void *data, unsigned) {
    ENTER;
    STREAM;
    return enqueue(on, [=] { return call(stream, SUCCESS, data), SUCCESS; });
}
CUresult cuLaunchHostFunc(void *stream, void (*call)(void *), void *data) {
    ENTER;
    STREAM;
    return enqueue(on, [=] { return call(data), SUCCESS; });
}

CUresult cuEventCreate(Event **event, unsigned flags) {
    ENTER;
    NEED_CONTEXT;
    *event = new Event{current_context(), !(flags & 2), nullptr, nullptr};
    events.insert(*event);
    return SUCCESS;
}

CUresult cuEventDestroy_v2(Event *event) {
    ENTER;
    if (!events.erase(event)) return INVALID_HANDLE;
    delete event;
    return SUCCESS;
}

CUresult cuEventRecord(Event *event, void *stream) {
    ENTER;
    STREAM;
    if (!events.count(event)) return INVALID_HANDLE;
    if (event->context != on->context) return INVALID_HANDLE;
    event->capture = on->capture;
    event->captured = on;
    event->point = nullptr;
    if (on->capture) return SUCCESS;
    /* A mark of its own, even on a stream with nothing in it: it is passed when somebody waits or asks. */
    event->point = std::make_shared<Point>(Point{on});
    on->queue.push_back({nullptr, nullptr, event->point});
    return go_ahead();
}
CUresult cuEventRecordWithFlags(Event *event, void *stream, unsigned) { return cuEventRecord(event, stream); }

CUresult cuEventSynchronize(Event *event) {
    ENTER;
    if (!events.count(event)) return INVALID_HANDLE;
    if (event->capture && captures.count(event->capture)) return event->capture->broken = true, CAPTURE_UNSUPPORTED;
    if (!event->point || event->point->passed) return SUCCESS;
    return run_until(event->point->stream, event->point.get());
}

CUresult cuEventQuery(Event *event) {
    ENTER;
    if (!events.count(event)) return INVALID_HANDLE;
    if (int status = refused_while_capturing()) return status;
    if (!event->point || event->point->passed) return SUCCESS;
    const int status = run_one(event->point->stream);
    return status ? status : NOT_READY;
}

CUresult cuEventElapsedTime_v2(float *milliseconds, Event *from, Event *to) {
    ENTER;
    if (!events.count(from) || !events.count(to) || !from->timing || !to->timing || !from->point || !to->point)
        return INVALID_HANDLE;
    if (!from->point->passed || !to->point->passed) return NOT_READY;
    *milliseconds = (float)(to->point->milliseconds - from->point->milliseconds);
    return SUCCESS;
}
CUresult cuEventElapsedTime(float *milliseconds, Event *from, Event *to) {
    return cuEventElapsedTime_v2(milliseconds, from, to);
}

CUresult cuStreamBeginCapture_v2(void *stream, int mode) {
    ENTER;
    STREAM;
    if (on->capture) return INVALID_VALUE;
    if (is_legacy(on)) return CAPTURE_UNSUPPORTED;
    on->capture = std::make_shared<Capture>();
    on->capture->origin = on, on->capture->mode = mode, on->capture->thread = (unsigned long)pthread_self();
    on->capture->streams.insert(on);
    captures.insert(on->capture);
    return SUCCESS;
}

CUresult cuStreamEndCapture(void *stream, Graph **graph) {
    ENTER;
    STREAM;
    *graph = nullptr;
    auto capture = on->capture;
    if (!capture || capture->origin != on) return INVALID_VALUE;
    if (capture->mode != 2 && capture->thread != (unsigned long)pthread_self()) return CAPTURE_WRONG_THREAD;
    captures.erase(capture);
    for (Stream *one : capture->streams) one->capture = nullptr;
    if (capture->broken) return CAPTURE_INVALIDATED;
    if (!capture->forked.empty()) return CAPTURE_UNJOINED;
    *graph = new Graph{capture->works};
    graphs.insert(*graph);
    return SUCCESS;
}

CUresult cuStreamIsCapturing(void *stream, int *state) {
    ENTER;
    STREAM;
    *state = !on->capture ? 0 : on->capture->broken ? 2 : 1;
    return SUCCESS;
}
CUresult cuStreamGetCaptureInfo_v2(void *stream, int *state, uint64_t *id, Graph **graph, const void ***nodes, size_t *count) {
    if (id) *id = 1;
    if (graph) *graph = nullptr;
    if (nodes) *nodes = nullptr;
    if (count) *count = 0;
    return cuStreamIsCapturing(stream, state);
}
CUresult cuStreamGetCaptureInfo_v3(void *stream, int *state, uint64_t *id, Graph **graph, const void ***nodes,
                                   const void **edges, size_t *count) {
    if (edges) *edges = nullptr;
    return cuStreamGetCaptureInfo_v2(stream, state, id, graph, nodes, count);
}
CUresult cuThreadExchangeStreamCaptureMode(int *mode) {
    ENTER;
    *mode = 0;
    return SUCCESS;
}

CUresult cuGraphGetNodes(Graph *graph, void **nodes, size_t *count) {
    ENTER;
    if (!graphs.count(graph)) return INVALID_VALUE;
    (void)nodes;
    *count = graph->works.size();
    return SUCCESS;
}

CUresult cuGraphInstantiateWithFlags(GraphExec **made, Graph *graph, unsigned long long) {
    ENTER;
    if (!graphs.count(graph)) return INVALID_VALUE;
    *made = new GraphExec{std::make_shared<std::vector<Work>>(graph->works)};
    executables.insert(*made);
    return SUCCESS;
}
CUresult cuGraphInstantiateWithParams(GraphExec **made, Graph *graph, void *) {
    return cuGraphInstantiateWithFlags(made, graph, 0);
}

CUresult cuGraphUpload(GraphExec *graph, void *stream) {
    ENTER;
    STREAM;
    return executables.count(graph) ? SUCCESS : INVALID_VALUE;
}

CUresult cuGraphLaunch(GraphExec *graph, void *stream) {
    ENTER;
    STREAM;
    if (!executables.count(graph)) return INVALID_VALUE;
    auto works = graph->works;
    return enqueue(on, [works] {
        for (const Work &work : *works)
            if (int status = work()) return status;
        return (int)SUCCESS;
    });
}

CUresult cuGraphExecDestroy(GraphExec *graph) {
    ENTER;
    if (!executables.erase(graph)) return INVALID_VALUE;
    delete graph;
    return SUCCESS;
}

CUresult cuGraphDestroy(Graph *graph) {
    ENTER;
    if (!graphs.erase(graph)) return INVALID_VALUE;
    delete graph;
    return SUCCESS;
}
}
