/* SPDX-License-Identifier: MIT */
/*
 * An object whose exported functions mention every public type, so that abidw
 * sees them all. Compared with the baseline of each minor version; never run.
 */
#include <chela/plugin.h>
#include <chela/services/agent.h>
#include <chela/services/agents.h>
#include <chela/services/channel.h>
#include <chela/services/commands.h>
#include <chela/services/config.h>
#include <chela/services/hello.h>
#include <chela/services/http.h>
#include <chela/services/model.h>
#include <chela/services/nodes.h>
#include <chela/services/plugins.h>
#include <chela/services/process.h>
#include <chela/services/sessions.h>
#include <chela/services/state.h>
#include <chela/services/system.h>

#define ANCHOR(type) \
	CHELA_EXPORT void anchor_##type(const struct type *p); \
	CHELA_EXPORT void anchor_##type(const struct type *p) { (void)p; }

ANCHOR(chela_method)
ANCHOR(chela_event)
ANCHOR(chela_dep)
ANCHOR(chela_plugin)
ANCHOR(chela_conn_info)
ANCHOR(chela_emit)
ANCHOR(chela_row)
ANCHOR(chela_error)
ANCHOR(chela_host)
ANCHOR(chela_agent_start)
ANCHOR(chela_agent_run)
ANCHOR(chela_agent_event)
ANCHOR(chela_agent_watcher)
ANCHOR(chela_agent_1)
ANCHOR(chela_agent_info)
ANCHOR(chela_agents_1)
ANCHOR(chela_channel_media)
ANCHOR(chela_channel_message)
ANCHOR(chela_channel_poll)
ANCHOR(chela_channel_result)
ANCHOR(chela_channel_1)
ANCHOR(chela_inbound)
ANCHOR(chela_channels_1)
ANCHOR(chela_command_run)
ANCHOR(chela_command_answer)
ANCHOR(chela_command_arg)
ANCHOR(chela_command)
ANCHOR(chela_commands_1)
ANCHOR(chela_config_write)
ANCHOR(chela_config_outcome)
ANCHOR(chela_config_change)
ANCHOR(chela_config_1)
ANCHOR(chela_hello_policy)
ANCHOR(chela_hello_1)
ANCHOR(chela_http_request)
ANCHOR(chela_http_handler)
ANCHOR(chela_http_1)
ANCHOR(chela_model_usage)
ANCHOR(chela_model_request)
ANCHOR(chela_model_result)
ANCHOR(chela_model_handler)
ANCHOR(chela_model_1)
ANCHOR(chela_model_ref)
ANCHOR(chela_models_1)
ANCHOR(chela_node_info)
ANCHOR(chela_node_result)
ANCHOR(chela_node_call)
ANCHOR(chela_nodes_1)
ANCHOR(chela_plugin_info)
ANCHOR(chela_method_info)
ANCHOR(chela_plugins_1)
ANCHOR(chela_process_request)
ANCHOR(chela_process_result)
ANCHOR(chela_process_handler)
ANCHOR(chela_process_1)
ANCHOR(chela_session_info)
ANCHOR(chela_session_append)
ANCHOR(chela_session_runner)
ANCHOR(chela_sessions_1)
ANCHOR(chela_state_1)
ANCHOR(chela_system_1)
