/* SPDX-License-Identifier: MIT */
/* Plugin console: answers, refusals, and requests that end early. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chela/services/state.h>

#include "tests/plugin/fakehost.h"
#include "tests/plugin/fakeroutes.h"
#include "tests/unit/cu.h"

#define VISITS	64		/* of the plugin at a time */
#define INFO	"/control-ui-config.json"

static struct fake	*f;
static char		 root[256];

static const char *
version(void)
{
	return ("1.2.3");
}

static const struct chela_state_1 state_vt = {
	.struct_size = sizeof state_vt,
	.version = version,
};

static void
put_file(const char *name, const char *text)
{
	char	 path[512];
	FILE	*file;

	(void)snprintf(path, sizeof path, "%s/%s", root, name);
	file = fopen(path, "w");
	CU_ASSERT_PTR_NOT_NULL_FATAL(file);
	(void)fputs(text, file);
	CU_ASSERT_EQUAL(fclose(file), 0);
}

static void
drop_file(const char *name)
{
	char	 path[512];

	(void)snprintf(path, sizeof path, "%s/%s", root, name);
	(void)unlink(path);
}

/* With a folder of two files where control is NULL. */
static void
begin(const char *control)
{
	char	 conf[1024];

	(void)snprintf(root, sizeof root, "/tmp/chela-test-console-XXXXXX");
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(root));
	put_file("index.html", "<html><script>1</script></html>");
	put_file("a.txt", "text");
	f = fake_new();
	if (control == NULL)
		(void)snprintf(conf, sizeof conf,
		    "{\"gateway\":{\"controlUi\":{\"root\":\"%s\"}}}", root);
	else
		(void)snprintf(conf, sizeof conf,
		    "{\"gateway\":{\"controlUi\":%s}}", control);
	CU_ASSERT_EQUAL_FATAL(fake_conf(f, conf), 0);
	CU_ASSERT_EQUAL(fake_service(f, "core", CHELA_STATE_SERVICE,
	    &state_vt), 0);
	CU_ASSERT_EQUAL_FATAL(fake_load(f, "agents"), 0);
	CU_ASSERT_EQUAL_FATAL(fake_load(f, "console"), 0);
	CU_ASSERT_EQUAL_FATAL(fake_start(f), 0);
}

static void
finish(void)
{
	fake_free(f);
	f = NULL;
	drop_file("index.html");
	drop_file("a.txt");
	CU_ASSERT_EQUAL(rmdir(root), 0);
}

static int
reload(const char *name, const char *value)
{
	char	 conf[1024];

	(void)snprintf(conf, sizeof conf,
	    "{\"gateway\":{\"controlUi\":{\"%s\":\"%s\"}}}", name, value);
	return (fake_conf(f, conf));
}

/* The status of a GET; its body is text where that is not NULL. */
static unsigned
get(const char *path, const char *headers, const char *text)
{
	struct fake_http	*h;
	unsigned		 status;

	h = fake_http(f, &(struct fake_http_opt){ .path = path,
	    .headers = headers });
	status = h->status;
	if (text != NULL)
		CU_ASSERT_STRING_EQUAL(fake_http_text(h), text);
	fake_http_free(h);
	return (status);
}

static void
a_page_without_a_folder(void)
{
	struct fake_http	*h;

	begin("{}");
	h = fake_http(f, &(struct fake_http_opt){
	    .headers = "Host: gw.example:7\n", .is_tls = true });
	CU_ASSERT_EQUAL(h->status, 200);
	CU_ASSERT_PTR_NOT_NULL(strstr(fake_http_text(h),
	    "wss://gw.example:7<"));
	CU_ASSERT_STRING_EQUAL(fake_http_header(h, "X-Frame-Options"), "DENY");
	CU_ASSERT_PTR_NOT_NULL(strstr(fake_http_header(h,
	    "Content-Security-Policy"), "default-src 'none'"));
	fake_http_free(h);
	/* The name comes from outside. */
	h = fake_http(f, &(struct fake_http_opt){
	    .headers = "Host: <i>\n" });
	CU_ASSERT_PTR_NULL(strstr(fake_http_text(h), "<i>"));
	CU_ASSERT_PTR_NOT_NULL(strstr(fake_http_text(h), "ws://HOST:PORT<"));
	fake_http_free(h);
	CU_ASSERT_EQUAL(get("/a.txt", NULL, "Not Found"), 404);
	finish();
}

static void
files_of_a_folder(void)
{
	struct fake_http	*h;
	char			 known[160];

	begin(NULL);
	h = fake_http(f, &(struct fake_http_opt){ .path = "/a.txt" });
	CU_ASSERT_EQUAL(h->status, 200);
	CU_ASSERT_STRING_EQUAL(h->type, "text/plain; charset=utf-8");
	CU_ASSERT_STRING_EQUAL(fake_http_text(h), "text");
	(void)snprintf(known, sizeof known, "If-None-Match: \"x\", %s\n",
	    fake_http_header(h, "ETag"));
	fake_http_free(h);
	CU_ASSERT_EQUAL(get("/a.txt", known, ""), 304);
	put_file("a.txt", "another");
	CU_ASSERT_EQUAL(get("/a.txt", known, "another"), 200);
	CU_ASSERT_EQUAL(get("/b.txt", NULL, "Not Found"), 404);
	CU_ASSERT_EQUAL(get("/b", "Accept: image/png\n", "Not Found"), 404);
	CU_ASSERT_EQUAL(get("/b", NULL, "<html data-openclaw-control-ui-"
	    "base-path=\"\" data-openclaw-terminal-enabled=\"false\">"
	    "<script>1</script></html>"), 200);
	/* The hash of "1" is known. */
	h = fake_http(f, &(struct fake_http_opt){ 0 });
	CU_ASSERT_PTR_NOT_NULL(strstr(fake_http_header(h,
	    "Content-Security-Policy"), "script-src 'self' 'sha256-"
	    "a4ayc/80/OGda4BO/1o/V0etpOqiLx1JwB5S3beHW0s='; "));
	fake_http_free(h);
	finish();
}

static void
settings_are_for_readers(void)
{
	struct fake_http	*h;

	begin("{\"basePath\":\"ui/\",\"embedSandbox\":\"strict\"}");
	h = fake_http(f, &(struct fake_http_opt){ .path = "/ui" INFO,
	    .scopes = "-" });
	CU_ASSERT_EQUAL(h->status, 401);
	fake_http_free(h);
	h = fake_http(f, &(struct fake_http_opt){ .path = "/ui" INFO,
	    .scopes = "write" });
	CU_ASSERT_EQUAL(h->status, 403);
	fake_http_free(h);
	CU_ASSERT_EQUAL(get("/ui" INFO, NULL, "{\"basePath\":\"/ui\","
	    "\"assistantName\":\"Assistant\",\"assistantAvatar\":\"A\","
	    "\"assistantAvatarSource\":null,\"assistantAvatarStatus\":null,"
	    "\"assistantAvatarReason\":null,\"assistantAgentId\":\"main\","
	    "\"serverVersion\":\"1.2.3\",\"embedSandbox\":\"strict\","
	    "\"allowExternalEmbedUrls\":false,\"communityInvite\":true,"
	    "\"automaticallyFetchFavicons\":false,\"terminalEnabled\":false,"
	    "\"cliAgentsEnabled\":false,\"pluginAssetsRequireAuth\":true,"
	    "\"pluginFrameGrants\":[]}"), 200);
	CU_ASSERT_EQUAL(get(INFO, NULL, NULL), 404);
	CU_ASSERT_EQUAL(get("/ui/avatar/main?meta=1", NULL,
	    "{\"avatarUrl\":null,\"avatarSource\":null,\"avatarStatus\":null,"
	    "\"avatarReason\":null}"), 200);
	CU_ASSERT_EQUAL(get("/ui/avatar/none?meta=1", NULL, NULL), 404);
	finish();
}

/* AB-074 */
static void
bad_settings_are_refused(void)
{
	char	 above[512];

	begin(NULL);
	CU_ASSERT(reload("root", fake_host(f)->state_dir()) < 0);
	CU_ASSERT(reload("root", "/") < 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(fake_log_text(f),
	    "the gateway's secrets would be served"));
	(void)snprintf(above, sizeof above, "%s/none", root);
	CU_ASSERT_EQUAL(reload("root", above), -ENOENT);
	CU_ASSERT_EQUAL(reload("root", "tmp"), -EINVAL);
	CU_ASSERT_EQUAL(reload("basePath", "a//b"), -EINVAL);
	CU_ASSERT_EQUAL(reload("basePath", "../b"), -EINVAL);
	CU_ASSERT_EQUAL(reload("basePath", "a\\\"b"), -EINVAL);
	/* What was good stays in force. */
	CU_ASSERT_EQUAL(get("/a.txt", NULL, "text"), 200);
	CU_ASSERT_EQUAL(reload("basePath", "/a/b"), 0);
	CU_ASSERT_EQUAL(get("/a.txt", NULL, NULL), 404);
	CU_ASSERT_EQUAL(get("/a/b", NULL, NULL), 200);
	finish();
}

static void
who_left_is_not_answered(void)
{
	static const char *const	 paths[] = { "/a.txt", "/", INFO };
	struct fake_http		*h;
	size_t				 i;

	begin(NULL);
	for (i = 0; i < sizeof paths / sizeof paths[0]; i++) {
		h = fake_http_send(f, &(struct fake_http_opt){
		    .path = paths[i] });
		fake_http_leave(h);
		fake_settle(f);
		CU_ASSERT_TRUE(h->is_gone);
		CU_ASSERT_EQUAL(h->status, 0);
		fake_http_free(h);
	}
	CU_ASSERT_EQUAL(get("/a.txt", NULL, "text"), 200);
	finish();
}

static void
few_wait_at_a_time(void)
{
	struct fake_http	*h[VISITS + 1];
	size_t			 i;

	begin(NULL);
	for (i = 0; i < VISITS + 1; i++)
		h[i] = fake_http_send(f, &(struct fake_http_opt){
		    .path = "/a.txt" });
	for (i = 0; i < VISITS + 1; i++) {
		CU_ASSERT_EQUAL(fake_http_wait(f, h[i]), 0);
		CU_ASSERT_EQUAL(h[i]->status, i < VISITS ? 200 : 503);
	}
	CU_ASSERT_STRING_EQUAL(fake_http_header(h[VISITS], "Retry-After"),
	    "1");
	for (i = 0; i < VISITS + 1; i++)
		fake_http_free(h[i]);
	CU_ASSERT_EQUAL(get("/a.txt", NULL, "text"), 200);
	finish();
}

/* What the pool still has then is freed by it. */
static void
a_stop_ends_what_waits(void)
{
	struct fake_http	*h;

	begin(NULL);
	h = fake_http_send(f, &(struct fake_http_opt){ .path = "/a.txt" });
	CU_ASSERT_EQUAL(fake_restart(f), 0);
	CU_ASSERT_TRUE(h->is_done);
	CU_ASSERT_NOT_EQUAL(h->status, 200);
	fake_http_free(h);
	CU_ASSERT_EQUAL(get("/a.txt", NULL, "text"), 200);
	finish();
}

static const struct cu_case cases[] = {
	CU_CASE(a_page_without_a_folder),
	CU_CASE(files_of_a_folder),
	CU_CASE(settings_are_for_readers),
	CU_CASE(bad_settings_are_refused),
	CU_CASE(who_left_is_not_answered),
	CU_CASE(few_wait_at_a_time),
	CU_CASE(a_stop_ends_what_waits),
	CU_END
};

CU_MAIN("console", cases)
