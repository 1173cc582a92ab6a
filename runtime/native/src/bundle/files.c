/* SPDX-License-Identifier: Apache-2.0 */
/* Where the bytes of a bundle lie: a folder, or an uncompressed zip of one. Nothing outside is ever read. */
#include <string.h>

#include "bundle/manifest.h"
#include "bundle/zip.h"

#define ENTRIES_MOST 8192
#define PATH_MOST 4096
#define SOUND_COPY "fetch or export the bundle again"

struct sf_files {
    const char *folder; /* or null */
    const char *top;    /* of a zip: the folder that all lies in, with its /; or "" */
    sf_zip zip;
};

static const char what[] = "cannot open the bundle";

static int climbs(const char *name) {
    if (name[0] == '/' || strchr(name, '\\') || strchr(name, ':')) return 1;
    for (const char *part = name; part; part = strchr(part, '/') ? strchr(part, '/') + 1 : 0)
        if (part[0] == '.' && part[1] == '.' && (part[2] == '/' || !part[2])) return 1;
    return 0;
}

/* Entries are stored, so that nothing in the zip can be larger than the zip itself. */
static void check_entry(sf_room *room, const sf_zip *zip, const sf_zip_entry *entry) {
    const char *tells = climbs(entry->name)                   ? "climbs out of the bundle"
                        : (entry->mode & 0170000) == 0120000  ? "is a symbolic link"
                        : sf_zip_find(zip, entry->name) != entry ? "is there twice"
                                                              : 0;
    if (tells) sf_give_up(room, SF_ERROR_FORMAT, what, SOUND_COPY, "its entry '%.80s' %s", entry->name, tells);
    if (entry->method != 0 || entry->packed != entry->size)
        sf_give_up(room, SF_ERROR_FORMAT, what,
                   "pack it with `zip -0 -r NAME.zip FOLDER`, or unpack it and give the folder",
                   "its entry '%.80s' is compressed", entry->name);
}

/* The one folder that all entries lie in, where the manifest is not at the top. */
static const char *find_top(sf_room *room, const sf_zip *zip) {
    if (!zip->count || sf_zip_find(zip, "manifest.json")) return "";
    const char *slash = strchr(zip->entries[0].name, '/');
    if (!slash) return "";
    const size_t length = (size_t)(slash - zip->entries[0].name) + 1;
    char *top = sf_take_zeroed(room, length + 1, 1);
    memcpy(top, zip->entries[0].name, length);
    for (uint32_t i = 0; i < zip->count; i++)
        if (strncmp(zip->entries[i].name, top, length) != 0) return "";
    return top;
}

static void open_zip(sf_room *room, sf_files *files, const char *path) {
    const char *why = sf_disk_open(&files->zip.disk, path, 0);
    files->zip.what = what;
    files->zip.fix = SOUND_COPY;
    if (why) sf_give_up(room, SF_ERROR_FILE, what, "check the path", "%s", why);
    sf_zip_read(room, &files->zip, ENTRIES_MOST);
    for (uint32_t i = 0; i < files->zip.count; i++) check_entry(room, &files->zip, &files->zip.entries[i]);
    files->top = find_top(room, &files->zip);
}

void sf_files_open(sf_room *room, const char *path, sf_files **opened) {
    sf_files *files = *opened = sf_take_zeroed(room, 1, sizeof *files);
    const sf_disk_kind kind = sf_disk_look(path);
    files->zip.disk.file = -1;
    files->top = "";
    if (kind == SF_DISK_NOTHING || kind == SF_DISK_OTHER || strlen(path) >= PATH_MOST)
        sf_give_up(room, SF_ERROR_FILE, what,
                   "give the folder that holds manifest.json, or an uncompressed zip of it", "%.200s: %s", path,
                   kind == SF_DISK_NOTHING ? "there is no such folder or file"
                                           : "it is neither a folder nor a plain file");
    if (kind == SF_DISK_FILE) {
        open_zip(room, files, path);
    } else {
        const size_t length = strlen(path) + 1;
        files->folder = memcpy(sf_take(room, length, 1), path, length);
    }
}

static _Noreturn void refuse(sf_room *room, int32_t status, const char *name, const char *why) {
    sf_give_up(room, status, "cannot read a file of the bundle", SOUND_COPY, "%.200s: %s", name, why);
}

static const uint8_t *read_packed(sf_room *room, const sf_files *files, const char *name, size_t most, size_t *size) {
    const sf_mark mark = sf_room_mark(room);
    const size_t before = strlen(files->top), length = strlen(name);
    char *whole = sf_take(room, before + length + 1, 1);
    memcpy(whole, files->top, before);
    memcpy(whole + before, name, length + 1);
    const sf_zip_entry *entry = sf_zip_find(&files->zip, whole);
    sf_room_rewind(room, mark);
    if (!entry) refuse(room, SF_ERROR_FILE, name, "there is no such file");
    if (entry->size > most) refuse(room, SF_ERROR_FORMAT, name, "it is longer than it may be");
    *size = entry->size;
    return sf_zip_bytes(room, &files->zip, entry);
}

static const uint8_t *read_unpacked(sf_room *room, sf_files *files, const char *name, size_t most, size_t *size) {
    const sf_mark mark = sf_room_mark(room);
    sf_disk *disk = &files->zip.disk; /* kept there, so that sf_files_close finds it after a jump */
    const size_t before = strlen(files->folder), length = strlen(name);
    char *path = sf_take(room, before + length + 2, 1);
    memcpy(path, files->folder, before);
    path[before] = '/';
    memcpy(path + before + 1, name, length + 1);
    const char *why = sf_disk_open(disk, path, files->folder);
    sf_room_rewind(room, mark);
    if (why) refuse(room, SF_ERROR_FILE, name, why);
    if (disk->size > most) refuse(room, SF_ERROR_FORMAT, name, "it is longer than it may be");
    *size = (size_t)disk->size;
    uint8_t *bytes = sf_take(room, disk->size, 1);
    if (sf_disk_read(disk, 0, bytes, *size)) refuse(room, SF_ERROR_FILE, name, "it cannot be read to its end");
    sf_disk_close(disk);
    return bytes;
}

const uint8_t *sf_files_read(sf_room *room, sf_files *files, const char *name, size_t most, size_t *size) {
    if (!sf_path_confined(name)) refuse(room, SF_ERROR_FORMAT, name, "the path may lead out of the bundle");
    return files->folder ? read_unpacked(room, files, name, most, size) : read_packed(room, files, name, most, size);
}

void sf_files_close(sf_files *files) {
    if (files) sf_disk_close(&files->zip.disk);
}
