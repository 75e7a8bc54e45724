#!/bin/sh
# Generates the TypeScript types of Kubernetes CRI v1 from the published k8s.io/cri-api Go module.
# A developer runs this when CRI moves; the result is committed. Needs: go and npm, which fetches the two generators for the occasion.
set -eu
cd "$(dirname "$0")/../.."
version=${1:-v0.37.2}
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
dir=$(cd "$work" && go mod init x >/dev/null 2>&1 && go mod download -json "k8s.io/cri-api@$version" | sed -n 's/.*"Dir": "\(.*\)".*/\1/p')
cp "$dir/pkg/apis/runtime/v1/api.proto" "$work/api.proto" && chmod u+w "$work/api.proto"
(cd "$work" && npm install --no-audit --no-fund --ignore-scripts ts-proto@2.18.0 @bufbuild/buf@1.75.0 >/dev/null)
cat > "$work/buf.gen.yaml" <<EOF
version: v2
plugins:
  - local: $work/node_modules/.bin/protoc-gen-ts_proto
    out: out
    opt: [onlyTypes=true, enumsAsLiterals=true, removeEnumPrefix=false, forceLong=bigint, useOptionals=all, comments=false, esModuleInterop=true, importSuffix=.ts, outputServices=default, lowerCaseServiceMethods=true, useAsyncIterable=true]
EOF
(cd "$work" && node_modules/.bin/buf generate)
cp "$work/out/api.ts" platform/src/runtime/generated/cri.ts
