#!/usr/bin/env bash
# Checks what a pull request changes, or every file; shows findings at their lines and, where that is wanted, as SARIF.
set -euo pipefail

command -v "$HALLPASS" >/dev/null || {
  echo "::error title=hallpass is not here::There is no \"$HALLPASS\" on this runner. Put the action \`setup\` before this one."
  exit 2
}

range=()
if [[ -n $BASE ]]; then
  range=(--base "$BASE" --head "${HEAD:-HEAD}")
fi

status=0
"$HALLPASS" validate ${range[@]+"${range[@]}"} --format github || status=$?

if [[ -n $SARIF || $UPLOAD == true ]]; then
  SARIF="${SARIF:-${RUNNER_TEMP:-/tmp}/hallpass.sarif}"
  # Findings were told above; here they are only written down.
  "$HALLPASS" validate ${range[@]+"${range[@]}"} --format sarif >"$SARIF" || [[ $? == 1 ]]
fi
if [[ $UPLOAD == true ]]; then
  gh api --method POST "repos/$GITHUB_REPOSITORY/code-scanning/sarifs" --silent \
    -f "commit_sha=$GITHUB_SHA" -f "ref=$GITHUB_REF" -f "tool_name=hallpass" \
    -f "sarif=$(gzip --stdout "$SARIF" | base64 | tr -d '\n')" ||
    echo "::warning title=SARIF not uploaded::See that the job has \`security-events: write\` and that code scanning is on."
fi
exit "$status"
