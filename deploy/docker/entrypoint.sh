#!/bin/sh
# Turns NAME_FILE=/path into NAME=<content of the file>, so that secrets can come as files, then becomes the command.
set -eu

for pair in $(env | sed -n 's/^\([A-Z][A-Z0-9_]*\)_FILE=\(.*\)$/\1=\2/p'); do
    name=${pair%%=*}
    path=${pair#*=}
    [ "$name" = ROUTES ] && continue # a setting of its own: the gateway reads that file itself
    if eval "[ -n \"\${$name:-}\" ]"; then
        continue # a value given directly wins
    fi
    if [ ! -r "$path" ]; then
        echo "configuration error: ${name}_FILE: $path can't be read" >&2
        exit 2
    fi
    export "$name=$(cat "$path")"
done

exec "$@"
