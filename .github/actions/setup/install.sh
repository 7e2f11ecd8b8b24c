#!/usr/bin/env bash
# Installs the release VERSION of hallpass into a folder of its own, after checking what was downloaded, and puts that on the path.
set -euo pipefail

fail() {
  echo "::error title=hallpass was not installed::$1"
  exit 1
}

case "$(uname -s)-$(uname -m)" in
  Linux-x86_64) target=x86_64-unknown-linux-musl ;;
  Linux-aarch64 | Linux-arm64) target=aarch64-unknown-linux-musl ;;
  Darwin-x86_64) target=x86_64-apple-darwin ;;
  Darwin-arm64) target=aarch64-apple-darwin ;;
  *) fail "there is no release for $(uname -s) on $(uname -m); build it with cargo, and leave this step out" ;;
esac
[[ $VERSION =~ ^[0-9]+\.[0-9]+\.[0-9]+([.-][0-9A-Za-z.-]+)?$ ]] || fail "\"$VERSION\" is no version such as 0.1.0"

archive="hallpass-$target.tar.gz"
folder="${RUNNER_TEMP:-/tmp}/hallpass-$VERSION"
mkdir -p "$folder"
cd "$folder"
releases="$SERVER/$REPOSITORY/releases/download/v$VERSION"
case "$SERVER" in
  https://*) protocol='=https' ;;
  http://127.0.0.1:*) protocol='=http' ;; # a mirror on the runner itself
  *) fail "$SERVER is not encrypted" ;;
esac
for name in "$archive" "$archive.sha256"; do
  curl --fail --silent --show-error --location --proto "$protocol" --proto-redir "$protocol" --retry 3 --max-time 120 --output "$name" "$releases/$name" ||
    fail "$releases/$name cannot be downloaded"
done

# The file of the checksum names the archive as it was built; only its digest is taken from there.
published="$(cut -d ' ' -f 1 "$archive.sha256")"
expected="${SHA256:-$published}"
[[ $expected =~ ^[0-9a-f]{64}$ ]] || fail "the checksum of $archive is no SHA-256 digest"
if command -v sha256sum >/dev/null; then
  found="$(sha256sum "$archive" | cut -d ' ' -f 1)"
else
  found="$(shasum -a 256 "$archive" | cut -d ' ' -f 1)"
fi
[[ $found == "$expected" ]] || fail "$archive has the digest $found, and $expected is expected"

case "$PROVENANCE" in
  skip) ;;
  try | require)
    if ! command -v gh >/dev/null; then
      [[ $PROVENANCE == try ]] || fail "gh is not on this runner, so that provenance cannot be checked"
      echo "::notice title=provenance not checked::gh is not on this runner; the checksum of $archive is right"
    elif gh attestation verify --help >/dev/null 2>&1; then
      gh attestation verify "$archive" --repo "$REPOSITORY" ||
        fail "no workflow of $REPOSITORY attests that it built $archive"
    else
      [[ $PROVENANCE == try ]] || fail "this gh is too old to check provenance"
      echo "::notice title=provenance not checked::this gh is too old; the checksum of $archive is right"
    fi
    ;;
  *) fail "provenance is \"$PROVENANCE\", and may be require, try or skip" ;;
esac

# Only the program, whatever else the archive holds.
tar --extract --gzip --file "$archive"
program="$(find "$folder" -type f -name hallpass | head -n 1)"
[[ -n $program ]] || fail "$archive holds no program named hallpass"
chmod 0755 "$program"
"$program" --version
dirname "$program" >>"$GITHUB_PATH"
echo "path=$program" >>"$GITHUB_OUTPUT"
