# What both packages do about units. None is enabled or started by a package: `agent install` does that when it is given a playbook.
set -e

units="bootstrap-agent.timer bootstrap-agent-converge.service bootstrap-agent.service bootstrap-agent-logs.service"

systemd_runs() { [ -d /run/systemd/system ]; }

# Those that `agent install` wrote for the packaged binary; another copy of the agent keeps its own.
is_ours() {
  file=/etc/systemd/system/$1
  [ ! -e "$file" ] && return 0
  case $1 in
    *.timer) head -n 1 "$file" | grep -q 'Written by `agent install`' && is_ours bootstrap-agent-converge.service ;;
    *) grep -q '^ExecStart=/usr/bin/agent ' "$file" ;;
  esac
}

# A run that is under way goes on with the binary it was started from; the log service is between two lines at any time, but it is
# not taken from under a run that speaks to it.
after_upgrade() {
  systemd_runs || return 0
  systemctl daemon-reload || true
  for run in bootstrap-agent.service bootstrap-agent-converge.service; do
    case $(systemctl is-active "$run" || true) in active | activating | deactivating) return 0 ;; esac
  done
  if is_ours bootstrap-agent-logs.service; then systemctl try-restart bootstrap-agent-logs.service || true; fi
}

# Nothing is left that would start a binary that is gone.
before_removal() {
  for unit in $units; do
    if is_ours "$unit"; then
      if systemd_runs; then systemctl disable --now "$unit" || true; else systemctl disable "$unit" || true; fi
    fi
  done 2> /dev/null
  # The services say whose the timer is, so it goes first.
  for unit in $units; do
    if [ -e "/etc/systemd/system/$unit" ] && is_ours "$unit"; then rm -f "/etc/systemd/system/$unit"; fi
  done
}

after_removal() {
  if systemd_runs; then systemctl daemon-reload || true; fi
}

