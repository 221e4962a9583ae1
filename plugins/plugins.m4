# SPDX-License-Identifier: MIT
# The one list of the tree's plugins: configure options, build conditionals and
# the summary are derived from it. Each has plugins/NAME/local.mk.
m4_define([CHELA_PLUGIN_LIST], [connect device health system config logs plugins commands
  models agents sessions agent chat usage send channels
  secrets audit push
  nodes process http model-openai model-anthropic model-builtin channel-webchat
  approvals exec-approvals question gateway hooks console])
