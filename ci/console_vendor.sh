#!/usr/bin/env bash
# What the console's pages load from npm, into the package: ci/console_vendor.sh NODE_MODULES
set -euo pipefail
modules="$1"
vendor="$(dirname "$0")/../fleet/whir_fleet/console/static/vendor"
mkdir -p "$vendor"
cp "$modules/htmx.org/dist/htmx.min.js" "$modules/uplot/dist/uPlot.iife.min.js" "$modules/uplot/dist/uPlot.min.css" "$vendor/"
