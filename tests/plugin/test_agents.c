/* SPDX-License-Identifier: MIT */
/*
 * Plugin agents: the list, changes of the configuration, files and their walls.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chela/services/agents.h>
#include <chela/services/config.h>

#include "tests/plugin/fakehost.h"
#include "tests/unit/cu.h"

static struct {
	struct fake		*f;
	struct json_object	*doc;
	void			(*done)(const struct chela_config_outcome *,
				    void *);
	void			*arg;
	int			 r;
} conf;

static char	root[] = "/tmp/chela-agents-XXXXXX";
static char	work[64];

/* RFC 7396. */
static void
merge(struct json_object *into, struct json_object *patch)
{
	struct json_object	*have;

	json_object_object_foreach(patch, key, val) {
		if (val == NULL) {
			json_object_object_del(into, key);
			continue;
		}
		if (!json_object_is_type(val, json_type_object)) {
			(void)json_object_object_add(into, key,
			    json_object_get(val));
			continue;
		}
		if (!json_object_object_get_ex(into, key, &have) ||
		    !json_object_is_type(have, json_type_object)) {
			have = json_object_new_object();
			(void)json_object_object_add(into, key, have);
		}
		merge(have, val);
	}
}

static int
conf_snapshot(struct json_object **ret)
{
	*ret = json_object_new_object();
	(void)json_object_object_add(*ret, "parsed",
	    json_object_get(conf.doc));
	(void)json_object_object_add(*ret, "hash",
	    json_object_new_string("h1"));
	return (0);
}

static void
conf_later(struct chela_ctx *ctx, void *arg)
{
	struct chela_config_outcome	 o;

	(void)ctx;
	(void)arg;
	memset(&o, 0, sizeof o);
	o.struct_size = sizeof o;
	o.r = conf.r;
	o.message = conf.r < 0 ? "config changed since last load" : "";
	conf.done(&o, conf.arg);
}

static int
conf_write(const struct chela_config_write *w,
    void (*done)(const struct chela_config_outcome *outcome, void *arg),
    void *arg)
{
	struct json_object	*patch = json_tokener_parse(w->raw);

	CU_ASSERT_EQUAL(w->kind, CHELA_CONFIG_PATCH);
	CU_ASSERT_STRING_EQUAL(w->base_hash, "h1");
	CU_ASSERT_PTR_NOT_NULL_FATAL(patch);
	if (conf.r == 0) {
		merge(conf.doc, patch);
		CU_ASSERT_EQUAL(fake_conf(conf.f,
		    json_object_to_json_string(conf.doc)), 0);
	}
	json_object_put(patch);
	conf.done = done;
	conf.arg = arg;
	return (fake_host(conf.f)->post(fake_ctx(conf.f, ""), conf_later, NULL));
}

static const struct chela_config_1 config = {
	.struct_size = sizeof config,
	.snapshot = conf_snapshot,
	.write = conf_write,
};

static struct fake *
begin(const char *doc)
{
	struct fake		*f = fake_new();
	struct json_object	*d, *agents;

	(void)snprintf(root, sizeof root, "/tmp/chela-agents-XXXXXX");
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(root));
	(void)snprintf(work, sizeof work, "%s/w", root);
	conf.f = f;
	conf.r = 0;
	d = json_tokener_parse(doc);
	if (!json_object_object_get_ex(d, "agents", &agents)) {
		agents = json_object_new_object();
		(void)json_object_object_add(d, "agents", agents);
	}
	conf.doc = json_object_new_object();
	(void)json_object_object_add(conf.doc, "workspace",
	    json_object_new_string(work));
	(void)json_object_object_add(agents, "defaults", conf.doc);
	conf.doc = d;
	CU_ASSERT_EQUAL(fake_conf(f, json_object_to_json_string(d)), 0);
	CU_ASSERT_EQUAL(fake_service(f, "core", CHELA_CONFIG_SERVICE, &config),
	    0);
	CU_ASSERT_EQUAL(fake_load(f, "agents"), 0);
	CU_ASSERT_EQUAL_FATAL(fake_start(f), 0);
	return (f);
}

static void
end(struct fake *f)
{
	char	cmd[128];

	fake_free(f);
	json_object_put(conf.doc);
	conf.doc = NULL;
	(void)snprintf(cmd, sizeof cmd, "rm -rf %s", root);
	CU_ASSERT_EQUAL(system(cmd), 0);
}

static void
put(const char *name, const char *text)
{
	char	 path[512];
	FILE	*fp;

	(void)mkdir(work, 0700);
	(void)snprintf(path, sizeof path, "%s/%s", work, name);
	fp = fopen(path, "w");
	CU_ASSERT_PTR_NOT_NULL_FATAL(fp);
	(void)fputs(text, fp);
	(void)fclose(fp);
}

static void
fails(struct fake *f, const char *method, const char *params,
    const char *message)
{
	struct json_object	*reply = fake_call(f, NULL, method, params);

	CU_ASSERT_STRING_EQUAL(fake_code(reply), "INVALID_REQUEST");
	CU_ASSERT_STRING_EQUAL(fake_message(reply), message);
	json_object_put(reply);
}

static void
list_without_configuration(void)
{
	struct fake		*f = begin("{}");
	struct json_object	*reply;

	reply = fake_call(f, NULL, "agents.list", "{}");
	CU_ASSERT(fake_ok(reply));
	CU_ASSERT_STRING_EQUAL(fake_str(reply, "result.defaultId"), "main");
	CU_ASSERT_STRING_EQUAL(fake_str(reply, "result.mainKey"), "main");
	CU_ASSERT_STRING_EQUAL(fake_str(reply, "result.agents.0.id"), "main");
	CU_ASSERT_STRING_EQUAL(fake_str(reply,
	    "result.agents.0.model.primary"), "builtin/builtin");
	CU_ASSERT_STRING_EQUAL(fake_str(reply, "result.agents.0.workspace"),
	    work);
	json_object_put(reply);
	end(f);
}

static void
list_order_and_avatar(void)
{
	struct fake		*f = begin("{\"session\":{\"mainKey\":\"home\","
				    "\"scope\":\"global\"},\"agents\":{\"list\":["
				    "{\"id\":\"zoo\"},{\"id\":\"Ops Bot\","
				    "\"default\":true,\"identity\":{\"emoji\":\"x\"}},"
				    "{\"id\":\"main\",\"identity\":{\"avatar\":"
				    "\"me.png\"}},{\"id\":\"ops-bot\"}]}}");
	struct json_object	*reply;

	put("me.png", "abc");
	reply = fake_call(f, NULL, "agents.list", "{}");
	CU_ASSERT_EQUAL(json_object_array_length(fake_get(reply,
	    "result.agents")), 3);
	CU_ASSERT_STRING_EQUAL(fake_str(reply, "result.agents.0.id"),
	    "ops-bot");
	CU_ASSERT_STRING_EQUAL(fake_str(reply, "result.agents.1.id"), "main");
	CU_ASSERT_STRING_EQUAL(fake_str(reply, "result.agents.2.id"), "zoo");
	CU_ASSERT_STRING_EQUAL(fake_str(reply, "result.mainKey"), "home");
	CU_ASSERT_STRING_EQUAL(fake_str(reply, "result.scope"), "global");
	CU_ASSERT_STRING_EQUAL(fake_str(reply,
	    "result.agents.1.identity.avatarUrl"),
	    "data:image/png;base64,YWJj");
	json_object_put(reply);
	end(f);
}

static void
service(void)
{
	struct fake			*f = begin("{}");
	const struct chela_agents_1	*svc;
	struct chela_agent_info		 info;
	char				 id[CHELA_AGENT_ID_MAX + 1];

	svc = fake_import(f, CHELA_AGENTS_SERVICE);
	CU_ASSERT_PTR_NOT_NULL_FATAL(svc);
	CU_ASSERT_EQUAL(svc->normalise("Ops Bot", id), 0);
	CU_ASSERT_STRING_EQUAL(id, "ops-bot");
	CU_ASSERT_EQUAL(svc->normalise("  ../../etc/x  ", id), 0);
	CU_ASSERT_STRING_EQUAL(id, "etc-x");
	CU_ASSERT_EQUAL(svc->normalise("\xc3\xa4\xc3\xb6", id), -EINVAL);
	CU_ASSERT_EQUAL(svc->normalise("", id), -EINVAL);
	CU_ASSERT_EQUAL(svc->exists("main"), 1);
	CU_ASSERT_EQUAL(svc->exists("MAIN"), 0);
	info.struct_size = sizeof info;
	CU_ASSERT_EQUAL(svc->info(NULL, &info), 0);
	CU_ASSERT_STRING_EQUAL(info.id, "main");
	CU_ASSERT_EQUAL(info.is_default, 1);
	CU_ASSERT_EQUAL(svc->info("nobody", &info), -ENOENT);
	end(f);
}

static void
create_update_delete(void)
{
	struct fake		*f = begin("{\"bindings\":[{\"agentId\":\"ops-bot\"},"
				    "{\"agentId\":\"main\"}]}");
	struct json_object	*reply;
	struct stat		 st;
	char			 path[512];

	(void)snprintf(path, sizeof path, "%s/ops", root);
	fails(f, "agents.delete", "{\"agentId\":\"main\"}",
	    "agent \"main\" is the only configured agent and cannot be deleted");
	reply = fake_callf(f, NULL, "agents.create",
	    "{\"name\":\"Ops Bot\",\"workspace\":\"%s\",\"emoji\":\"o\"}",
	    path);
	CU_ASSERT(fake_ok(reply));
	CU_ASSERT_STRING_EQUAL(fake_str(reply, "result.agentId"), "ops-bot");
	CU_ASSERT_STRING_EQUAL(fake_str(reply, "result.workspace"), path);
	json_object_put(reply);
	(void)snprintf(path, sizeof path, "%s/ops/IDENTITY.md", root);
	CU_ASSERT_EQUAL(stat(path, &st), 0);
	CU_ASSERT_STRING_EQUAL(fake_str(conf.doc,
	    "agents.entries.ops-bot.identity.emoji"), "o");
	CU_ASSERT_PTR_NOT_NULL(fake_get(conf.doc, "agents.entries.main"));
	fails(f, "agents.create", "{\"name\":\"OPS bot!\"}",
	    "agent \"ops-bot\" already exists");
	fails(f, "agents.create", "{\"name\":\"--\"}",
	    "invalid agents.create params: name needs a letter or a digit");
	reply = fake_call(f, NULL, "agents.update", "{\"agentId\":\"ops-bot\","
	    "\"model\":\"p/m\",\"emoji\":\"\",\"name\":\"Ops\"}");
	CU_ASSERT(fake_ok(reply));
	json_object_put(reply);
	CU_ASSERT_STRING_EQUAL(fake_str(conf.doc,
	    "agents.entries.ops-bot.model"), "p/m");
	CU_ASSERT_PTR_NULL(fake_get(conf.doc,
	    "agents.entries.ops-bot.identity.emoji"));
	reply = fake_call(f, NULL, "agents.update",
	    "{\"agentId\":\"ops-bot\",\"model\":null}");
	CU_ASSERT(fake_ok(reply));
	json_object_put(reply);
	CU_ASSERT_PTR_NULL(fake_get(conf.doc, "agents.entries.ops-bot.model"));
	fails(f, "agents.update", "{\"agentId\":\"nobody\"}",
	    "agent \"nobody\" not found");
	fails(f, "agents.delete", "{\"agentId\":\"main\"}",
	    "agent \"main\" is the default agent and cannot be deleted; make another one the default first");
	/* A write that is refused leaves everything as it was. */
	conf.r = -ESTALE;
	fails(f, "agents.delete",
	    "{\"agentId\":\"ops-bot\",\"deleteFiles\":true}",
	    "config changed since last load");
	CU_ASSERT_EQUAL(stat(path, &st), 0);
	conf.r = 0;
	reply = fake_call(f, NULL, "agents.delete",
	    "{\"agentId\":\"ops-bot\"}");
	CU_ASSERT(fake_ok(reply));
	CU_ASSERT_EQUAL(fake_int(reply, "result.removedBindings"), 1);
	json_object_put(reply);
	CU_ASSERT_EQUAL(stat(path, &st), 0);
	CU_ASSERT_EQUAL(json_object_array_length(fake_get(conf.doc,
	    "bindings")), 1);
	CU_ASSERT_PTR_NULL(fake_get(conf.doc, "agents.entries.ops-bot"));
	end(f);
}

/* The other way to write agents down is kept. */
static void
list_form(void)
{
	struct fake		*f = begin("{\"agents\":{\"list\":[{\"id\":\"main\"},"
				    "{\"id\":\"Zoo\",\"name\":\"Z\",\"model\":\"a/b\"}]}}");
	struct json_object	*reply;

	reply = fake_callf(f, NULL, "agents.create",
	    "{\"name\":\"new\",\"workspace\":\"%s/new\"}", root);
	CU_ASSERT(fake_ok(reply));
	json_object_put(reply);
	CU_ASSERT_STRING_EQUAL(fake_str(conf.doc, "agents.list.2.id"), "new");
	reply = fake_call(f, NULL, "agents.update",
	    "{\"agentId\":\"zoo\",\"model\":null,\"name\":\"Q\"}");
	CU_ASSERT(fake_ok(reply));
	json_object_put(reply);
	CU_ASSERT_STRING_EQUAL(fake_str(conf.doc, "agents.list.1.name"), "Q");
	CU_ASSERT_STRING_EQUAL(fake_str(conf.doc, "agents.list.1.id"), "Zoo");
	CU_ASSERT_PTR_NULL(fake_get(conf.doc, "agents.list.1.model"));
	reply = fake_call(f, NULL, "agents.delete", "{\"agentId\":\"zoo\"}");
	CU_ASSERT(fake_ok(reply));
	json_object_put(reply);
	CU_ASSERT_EQUAL(json_object_array_length(fake_get(conf.doc,
	    "agents.list")), 2);
	end(f);
}

static void
shared_workspace_stays(void)
{
	struct fake		*f;
	struct json_object	*reply;
	struct stat		 st;

	f = begin("{\"agents\":{\"entries\":{\"main\":{},\"b\":{}}}}");
	put("AGENTS.md", "x");
	reply = fake_callf(f, NULL, "agents.update",
	    "{\"agentId\":\"b\",\"workspace\":\"%s\"}", root);
	CU_ASSERT(fake_ok(reply));
	json_object_put(reply);
	reply = fake_call(f, NULL, "agents.delete",
	    "{\"agentId\":\"b\",\"deleteFiles\":true}");
	CU_ASSERT(fake_ok(reply));
	CU_ASSERT_STRING_EQUAL(fake_str(reply, "result.failed.0.path"), root);
	json_object_put(reply);
	CU_ASSERT_EQUAL(stat(work, &st), 0);
	end(f);
}

/* AB-071, AB-072, AB-073 */
static void
files(void)
{
	struct fake		*f = begin("{}");
	struct json_object	*reply;
	struct stat		 st;
	char			 path[512], to[512];

	reply = fake_call(f, NULL, "agents.files.list",
	    "{\"agentId\":\"main\"}");
	CU_ASSERT_EQUAL(json_object_array_length(fake_get(reply,
	    "result.files")), 5);
	CU_ASSERT(json_object_get_boolean(fake_get(reply,
	    "result.files.0.missing")));
	json_object_put(reply);
	reply = fake_call(f, NULL, "agents.files.get",
	    "{\"agentId\":\"main\",\"name\":\"SOUL.md\"}");
	CU_ASSERT(fake_ok(reply));
	CU_ASSERT(json_object_get_boolean(fake_get(reply,
	    "result.file.missing")));
	CU_ASSERT_PTR_NULL(fake_get(reply, "result.file.content"));
	json_object_put(reply);
	reply = fake_call(f, NULL, "agents.files.set", "{\"agentId\":\"main\","
	    "\"name\":\"SOUL.md\",\"content\":\"h\\u00e9\"}");
	CU_ASSERT(fake_ok(reply));
	CU_ASSERT_EQUAL(fake_int(reply, "result.file.size"), 3);
	json_object_put(reply);
	(void)snprintf(path, sizeof path, "%s/SOUL.md", work);
	CU_ASSERT_EQUAL(stat(path, &st), 0);
	CU_ASSERT_EQUAL(st.st_mode & 0777, 0600);
	reply = fake_call(f, NULL, "agents.files.get",
	    "{\"agentId\":\"main\",\"name\":\"SOUL.md\"}");
	CU_ASSERT_STRING_EQUAL(fake_str(reply, "result.file.content"),
	    "h\xc3\xa9");
	json_object_put(reply);
	fails(f, "agents.files.get",
	    "{\"agentId\":\"main\",\"name\":\"../x\"}",
	    "unsupported file \"../x\"");
	fails(f, "agents.files.set",
	    "{\"agentId\":\"main\",\"name\":\"soul.md\",\"content\":\"\"}",
	    "unsupported file \"soul.md\"");
	fails(f, "agents.files.get",
	    "{\"agentId\":\"main\",\"name\":\"SOUL.md\\u0000\"}",
	    "unsupported file \"SOUL.md\"");
	fails(f, "agents.files.list", "{\"agentId\":\"../main\"}",
	    "agent \"../main\" not found");
	/* A link, a second name and a FIFO in place of the file. */
	(void)snprintf(to, sizeof to, "%s/secret", root);
	CU_ASSERT_EQUAL(rename(path, to), 0);
	CU_ASSERT_EQUAL(symlink(to, path), 0);
	fails(f, "agents.files.get",
	    "{\"agentId\":\"main\",\"name\":\"SOUL.md\"}",
	    "\"SOUL.md\" is not a regular file");
	fails(f, "agents.files.set",
	    "{\"agentId\":\"main\",\"name\":\"SOUL.md\",\"content\":\"\"}",
	    "\"SOUL.md\" is not a regular file");
	CU_ASSERT_EQUAL(unlink(path), 0);
	CU_ASSERT_EQUAL(link(to, path), 0);
	fails(f, "agents.files.get",
	    "{\"agentId\":\"main\",\"name\":\"SOUL.md\"}",
	    "\"SOUL.md\" is not a regular file");
	CU_ASSERT_EQUAL(unlink(path), 0);
	CU_ASSERT_EQUAL(mkfifo(path, 0600), 0);
	fails(f, "agents.files.get",
	    "{\"agentId\":\"main\",\"name\":\"SOUL.md\"}",
	    "\"SOUL.md\" is not a regular file");
	end(f);
}

static void
workspace_refuses(struct fake *f, const char *method, const char *path,
    const char *type)
{
	struct json_object	*reply, *params;

	params = json_object_new_object();
	(void)json_object_object_add(params, "agentId",
	    json_object_new_string("main"));
	(void)json_object_object_add(params, "path",
	    json_object_new_string(path));
	reply = fake_call(f, NULL, method, json_object_to_json_string(params));
	CU_ASSERT_STRING_EQUAL(fake_code(reply), "INVALID_REQUEST");
	CU_ASSERT_STRING_EQUAL(fake_str(reply, "error.details.type"), type);
	json_object_put(reply);
	json_object_put(params);
}

/* AB-071, AB-072 */
static void
workspace(void)
{
	static const char *const bad[] = { "..", "../x", "/etc/passwd", "~/x",
	    "a/../../x", "a//b", "./a", "C:\\x", "a\\b", "//host/x" };
	struct fake		*f = begin("{}");
	struct json_object	*reply;
	char			 path[512], deep[4200];
	size_t			 i;

	reply = fake_call(f, NULL, "agents.workspace.list",
	    "{\"agentId\":\"main\"}");
	CU_ASSERT_EQUAL(fake_int(reply, "result.totalEntries"), 0);
	json_object_put(reply);
	put("b.txt", "text");
	put("a.bin", "\xff\xfe");
	(void)snprintf(path, sizeof path, "%s/dir", work);
	CU_ASSERT_EQUAL(mkdir(path, 0700), 0);
	put("dir/in.md", "# in");
	(void)snprintf(path, sizeof path, "%s/link", work);
	CU_ASSERT_EQUAL(symlink("/etc", path), 0);
	(void)snprintf(path, sizeof path, "%s/fifo", work);
	CU_ASSERT_EQUAL(mkfifo(path, 0600), 0);
	reply = fake_call(f, NULL, "agents.workspace.list",
	    "{\"agentId\":\"main\",\"offset\":1,\"limit\":1}");
	CU_ASSERT_EQUAL(fake_int(reply, "result.totalEntries"), 3);
	CU_ASSERT_EQUAL(json_object_array_length(fake_get(reply,
	    "result.entries")), 1);
	CU_ASSERT_STRING_EQUAL(fake_str(reply, "result.entries.0.name"),
	    "a.bin");
	CU_ASSERT_PTR_NULL(fake_get(reply, "result.parentPath"));
	json_object_put(reply);
	reply = fake_call(f, NULL, "agents.workspace.list",
	    "{\"agentId\":\"main\",\"path\":\"dir/\"}");
	CU_ASSERT_STRING_EQUAL(fake_str(reply, "result.path"), "dir");
	CU_ASSERT_STRING_EQUAL(fake_str(reply, "result.parentPath"), "");
	CU_ASSERT_STRING_EQUAL(fake_str(reply, "result.entries.0.path"),
	    "dir/in.md");
	json_object_put(reply);
	reply = fake_call(f, NULL, "agents.workspace.get",
	    "{\"agentId\":\"main\",\"path\":\"dir/in.md\"}");
	CU_ASSERT_STRING_EQUAL(fake_str(reply, "result.file.content"), "# in");
	CU_ASSERT_STRING_EQUAL(fake_str(reply, "result.file.mimeType"),
	    "text/markdown");
	json_object_put(reply);
	reply = fake_call(f, NULL, "agents.workspace.get",
	    "{\"agentId\":\"main\",\"path\":\"a.bin\"}");
	CU_ASSERT_STRING_EQUAL(fake_str(reply, "result.file.encoding"),
	    "base64");
	CU_ASSERT_STRING_EQUAL(fake_str(reply, "result.file.content"), "//4=");
	json_object_put(reply);
	for (i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		workspace_refuses(f, "agents.workspace.list", bad[i],
		    "workspace_path_invalid");
		workspace_refuses(f, "agents.workspace.get", bad[i],
		    "workspace_path_invalid");
	}
	for (i = 0; i + 2 < sizeof deep; i += 2)
		memcpy(deep + i, "a/", 3);
	workspace_refuses(f, "agents.workspace.get", deep,
	    "workspace_path_invalid");
	workspace_refuses(f, "agents.workspace.get", "link/passwd",
	    "workspace_path_not_found");
	workspace_refuses(f, "agents.workspace.get", "link",
	    "workspace_path_invalid");
	workspace_refuses(f, "agents.workspace.list", "link",
	    "workspace_path_not_found");
	workspace_refuses(f, "agents.workspace.get", "fifo",
	    "workspace_path_not_found");
	workspace_refuses(f, "agents.workspace.get", "dir",
	    "workspace_path_not_found");
	workspace_refuses(f, "agents.workspace.list", "nothing",
	    "workspace_path_not_found");
	end(f);
}

static const struct cu_case cases[] = {
	CU_CASE(list_without_configuration),
	CU_CASE(list_order_and_avatar),
	CU_CASE(service),
	CU_CASE(create_update_delete),
	CU_CASE(list_form),
	CU_CASE(shared_workspace_stays),
	CU_CASE(files),
	CU_CASE(workspace),
	CU_END
};
CU_MAIN("agents", cases)
