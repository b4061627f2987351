#include "agent/agent_lines.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "lpx_reasons.h"

struct agent_lines {
    gzFile file;
    off_t size; /* of the file as it is stored; 0: unknown */
    unsigned long number;
    char line[AGENT_LINE_BYTES];
};

lpx_err agent_lines_open(const char *path, agent_lines **out, lpx_note *note)
{
    bool standard = strcmp(path, "-") == 0;
    struct stat st;
    agent_lines *lines = calloc(1, sizeof *lines);
    if (lines == NULL) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    errno = 0;
    lines->file = standard ? gzdopen(dup(STDIN_FILENO), "rb") : gzopen(path, "rb");
    if (lines->file == NULL) {
        int why = errno;
        free(lines);
        return lpx_fail(note, AGENT_NO_FILE, "cannot open %.150s: %s", path,
                        why != 0 ? strerror(why) : "not enough memory");
    }
    (void)gzbuffer(lines->file, 256 << 10);
    lines->size = !standard && stat(path, &st) == 0 && S_ISREG(st.st_mode) ? st.st_size : 0;
    *out = lines;
    return LPX_SUCCESS;
}

lpx_err agent_lines_next(agent_lines *lines, lpx_str *line, bool *end, lpx_note *note)
{
    *line = (lpx_str){"", 0};
    *end = false;
    lines->number++;
    if (gzgets(lines->file, lines->line, AGENT_LINE_BYTES) == NULL) {
        int code = Z_OK;
        const char *why = gzerror(lines->file, &code);
        if (code != Z_OK && code != Z_STREAM_END) {
            return lpx_fail(note, AGENT_BAD_FILE, "line %lu cannot be read: %s", lines->number,
                            code == Z_ERRNO ? strerror(errno) : why);
        }
        *end = true;
        return LPX_SUCCESS;
    }
    size_t len = strlen(lines->line);
    if (len == AGENT_LINE_BYTES - 1 && lines->line[len - 1] != '\n') {
        return lpx_fail(note, AGENT_BAD_FILE, "line %lu has more than %d bytes", lines->number, AGENT_LINE_BYTES - 2);
    }
    while (len > 0 && (lines->line[len - 1] == '\n' || lines->line[len - 1] == '\r')) {
        len--;
    }
    *line = (lpx_str){lines->line, len};
    return LPX_SUCCESS;
}

double agent_lines_progress(const agent_lines *lines)
{
    z_off_t at = lines->size > 0 ? gzoffset(lines->file) : 0;
    double part = lines->size > 0 && at > 0 ? (double)at / (double)lines->size : 0;
    return part > 1 ? 1 : part;
}

unsigned long agent_lines_number(const agent_lines *lines)
{
    return lines->number;
}

void agent_lines_close(agent_lines **lines)
{
    if (*lines != NULL) {
        (void)gzclose((*lines)->file);
        free(*lines);
        *lines = NULL;
    }
}
