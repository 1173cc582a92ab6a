/* SPDX-License-Identifier: Apache-2.0 */
/* Files as the system gives them. */
#define _XOPEN_SOURCE 700 /* realpath, pread, O_CLOEXEC */
#define _FILE_OFFSET_BITS 64
#include "bundle/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#if defined(_WIN32)
#include <io.h>
#else
#include <unistd.h>
#endif

#if defined(_WIN32)

static int open_plain(const char *path) { return _open(path, _O_RDONLY | _O_BINARY); }
static void close_plain(int file) { _close(file); }

static int64_t read_plain(int file, uint64_t offset, void *out, size_t count) {
    if (_lseeki64(file, (int64_t)offset, SEEK_SET) < 0) return -1;
    return _read(file, out, (unsigned)(count > (1u << 30) ? 1u << 30 : count));
}

static char *full_path(const char *path) { return _fullpath(0, path, 0); }

#else

/* O_NONBLOCK: opening a named pipe must not wait for a writer. O_NOFOLLOW: its links were followed before. */
static int open_plain(const char *path) { return open(path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC); }
static void close_plain(int file) { close(file); }
static int64_t read_plain(int file, uint64_t offset, void *out, size_t count) {
    return pread(file, out, count, (off_t)offset);
}
static char *full_path(const char *path) { return realpath(path, 0); }

#endif

/* Whether a full path lies in a folder, which is given by any path. */
static int lies_in(const char *full, const char *folder) {
    char *root = full_path(folder);
    if (!root) return 0;
    const size_t length = strlen(root);
    const int inside = strncmp(full, root, length) == 0 &&
                       (full[length] == '/' || full[length] == '\\' || root[length - 1] == '/');
    free(root);
    return inside;
}

static const char *reason(int code) {
    if (code == ENOENT || code == ENOTDIR) return "there is no such file";
    if (code == EACCES || code == EPERM) return "permission is denied";
    if (code == ELOOP) return "its links lead in a circle";
    return "the system does not open it";
}

static const char *open_full(sf_disk *disk, const char *full) {
    struct stat about;
    disk->file = open_plain(full);
    if (disk->file < 0) return reason(errno);
    if (fstat(disk->file, &about) == 0 && (about.st_mode & S_IFMT) == S_IFREG && about.st_size >= 0) {
        disk->size = (uint64_t)about.st_size;
        return 0;
    }
    sf_disk_close(disk);
    return "it is not a plain file";
}

sf_disk_kind sf_disk_look(const char *path) {
    struct stat about;
    if (stat(path, &about) != 0) return SF_DISK_NOTHING;
    const int kind = about.st_mode & S_IFMT;
    return kind == S_IFDIR ? SF_DISK_FOLDER : kind == S_IFREG ? SF_DISK_FILE : SF_DISK_OTHER;
}

const char *sf_disk_open(sf_disk *disk, const char *path, const char *folder) {
    *disk = (sf_disk){-1, 0, 0};
    char *full = full_path(path);
    if (!full) return reason(errno);
    const char *why = folder && !lies_in(full, folder) ? "it leads out of the bundle's folder" : open_full(disk, full);
    free(full);
    return why;
}

int sf_disk_read(const sf_disk *disk, uint64_t offset, void *out, size_t count) {
    if (offset > disk->size || count > disk->size - offset) return 1;
    if (disk->bytes) {
        if (count) memcpy(out, disk->bytes + offset, count);
        return 0;
    }
    for (size_t done = 0; done < count;) {
        const int64_t got = read_plain(disk->file, offset + done, (unsigned char *)out + done, count - done);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return 1;
        done += (size_t)got;
    }
    return 0;
}

void sf_disk_close(sf_disk *disk) {
    if (disk->file >= 0) close_plain(disk->file);
    disk->file = -1;
}
