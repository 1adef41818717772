#!/bin/sh
# Builds the image, indexes and serves in it, and asks the server. Needs root, buildah,
# curl and some minutes. Where the base image cannot be pulled, a root that debootstrap
# makes stands in for it. Run it in the top folder of the repository:
#   sh docs/docker/check.sh
set -eu
export BUILDAH_ISOLATION=chroot
port=8765
base=$(sed -n 's/^FROM //p' docs/docker/Dockerfile)
work=$(mktemp -d)
box=""
server=""
finish() {
    if [ -n "$server" ]; then kill -- "-$server" 2>/dev/null || true; fi
    if [ -n "$box" ]; then buildah rm "$box" >/dev/null; fi
    rm -rf "$work"
}
trap finish EXIT

if ! buildah pull --quiet --policy missing "$base" >/dev/null 2>&1; then
    debootstrap --variant=minbase --include=python3,python3-pip,ca-certificates \
        stable "$work/root" >"$work/log" || { tail "$work/log"; exit 1; }
    # What the image has and Debian has not.
    ln -sf python3 "$work/root/usr/bin/python"
    rm -f "$work"/root/usr/lib/python3*/EXTERNALLY-MANAGED
    cp /etc/ssl/certs/ca-certificates.crt "$work/root/etc/ssl/certs/"
    stand_in=$(buildah from scratch)
    buildah add --quiet "$stand_in" "$work/root" / >/dev/null
    buildah commit --quiet --rm "$stand_in" "docker.io/library/$base" >/dev/null
    echo "base: debootstrap, in place of $base"
fi
buildah bud --quiet --format docker --pull-never --tag bytecover-check --file docs/docker/Dockerfile .

mkdir "$work/catalogue" "$work/music"
cp bytecover_tf/data/tunes/audio/staten-island-[0-2].ogg "$work/music/"
printf 0123456789abcdef-token >"$work/token"
chown -R 1000 "$work"
chmod 755 "$work"
box=$(buildah from --pull-never localhost/bytecover-check)
mounts="--volume $work/catalogue:/catalogue --volume $work/music:/music:ro"
mounts="$mounts --volume $work/token:/run/secrets/token:ro"
buildah run $mounts "$box" -- bytecover index --catalogue /catalogue /music
# In a group of its own, so that all of it can be ended.
setsid buildah run $mounts "$box" -- bytecover serve --catalogue /catalogue \
    --host 0.0.0.0 --port $port --allow /music --token-file /run/secrets/token &
server=$!
address=http://127.0.0.1:$port
curl --silent --retry 60 --retry-connrefused --retry-delay 1 --max-time 120 \
    --output /dev/null $address/ready
query=bytecover_tf/data/tunes/audio/staten-island-3.ogg
refused=$(curl --silent --output /dev/null --write-out '%{http_code}' \
    --form file=@$query $address/api/identify)
found=$(curl --silent --header 'Authorization: Bearer 0123456789abcdef-token' \
    --form file=@$query --form top=1 $address/api/identify)
echo "$found"
test "$refused" = 401
case $found in
    *'"verdict":"version"'*staten-island*) echo "the image works" ;;
    *) echo "expected a version of staten-island"; exit 1 ;;
esac
