/* SPDX-License-Identifier: MIT */
/* Feeds every file of the directories or files named to a fuzz target. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned n_files;

static int
replay_file(const char *path)
{
	FILE	*f;
	uint8_t	*data = NULL;
	long	 size;

	f = fopen(path, "rb");
	if (f == NULL) {
		perror(path);
		return (1);
	}
	(void)fseek(f, 0, SEEK_END);
	size = ftell(f);
	rewind(f);
	data = malloc((size_t)size + 1);
	if (data == NULL || fread(data, 1, (size_t)size, f) != (size_t)size) {
		perror(path);
		free(data);
		(void)fclose(f);
		return (1);
	}
	(void)fclose(f);
	(void)LLVMFuzzerTestOneInput(data, (size_t)size);
	free(data);
	n_files++;
	return (0);
}

static int
replay_path(const char *path)
{
	struct stat	 st;
	struct dirent	*e;
	char		 sub[4096];
	DIR		*d;
	int		 r = 0;

	if (stat(path, &st) < 0) {
		perror(path);
		return (1);
	}
	if (!S_ISDIR(st.st_mode))
		return (replay_file(path));
	d = opendir(path);
	if (d == NULL) {
		perror(path);
		return (1);
	}
	while ((e = readdir(d)) != NULL) {
		if (e->d_name[0] == '.')
			continue;
		(void)snprintf(sub, sizeof sub, "%s/%s", path, e->d_name);
		r |= replay_path(sub);
	}
	(void)closedir(d);
	return (r);
}

int
main(int argc, char **argv)
{
	int	 i, r = 0;

	for (i = 1; i < argc; i++)
		r |= replay_path(argv[i]);
	(void)printf("%u files replayed\n", n_files);
	return (n_files == 0 ? 1 : r);
}
