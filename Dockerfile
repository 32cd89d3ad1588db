# One target for each service, and three more: `sbp-server` (everything in one process), `tool` (the
# command line: migrate, keys, rebuild, log) and `front` (nginx). See docs/deployment.md.
#
# The bases are pinned by exact tags. To pin their content too, give a tag with its digest:
#   docker build --build-arg NODE_IMAGE=node:26.10.0-trixie-slim@sha256:… --target completions .
ARG NODE_IMAGE=node:26.10.0-trixie-slim
ARG NGINX_IMAGE=nginx:1.30.5

# Compiles apps and libs; nothing of this stage but `dist` is kept.
FROM ${NODE_IMAGE} AS build
WORKDIR /src
COPY .npmrc package.json package-lock.json ./
RUN npm ci --ignore-scripts
COPY tsconfig.json ./
COPY deploy/images deploy/images
COPY libs libs
COPY apps apps
RUN node node_modules/typescript/bin/tsc -p deploy/images/tsconfig.json

# The packages of production. The optional ones are Node itself, which the base has.
FROM ${NODE_IMAGE} AS packages
WORKDIR /src
COPY .npmrc package.json package-lock.json ./
RUN npm ci --omit=dev --omit=optional --ignore-scripts

# What all programs share. The uid is fixed, so that volumes and policies can name it. The root file
# system may be read-only: only /data (embedded storage, secret) and /keys (key files) are written.
FROM ${NODE_IMAGE} AS program
WORKDIR /app
RUN mkdir -m 700 /data /keys && chown 10001:10001 /data /keys
COPY package.json ./
COPY deploy/images/healthcheck.mjs ./
COPY --from=packages /src/node_modules node_modules
COPY --from=build /src/dist dist
ENV NODE_ENV=production \
    SBP_PORT=8080 \
    SBP_DATA_DIR=/data \
    SBP_KEY_FILE=/keys/keys.json
USER 10001:10001
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
  CMD ["node", "/app/healthcheck.mjs"]
# Node itself is the first process, so signals reach it.
ENTRYPOINT ["node", "--enable-source-maps"]

FROM program AS completions
CMD ["dist/apps/completions/src/main.js"]

FROM program AS sessions
CMD ["dist/apps/sessions/src/main.js"]

FROM program AS gateway
CMD ["dist/apps/gateway/src/main.js"]

FROM program AS roaming
CMD ["dist/apps/roaming/src/main.js"]

FROM program AS audit
CMD ["dist/apps/audit/src/main.js"]

FROM program AS analytics
CMD ["dist/apps/analytics/src/main.js"]

FROM program AS sbp-server
VOLUME /data
CMD ["dist/apps/sbp-server/src/main.js", "start"]

FROM program AS tool
HEALTHCHECK NONE
ENTRYPOINT ["node", "--enable-source-maps", "dist/apps/sbp-server/src/main.js"]
CMD ["--help"]

FROM ${NGINX_IMAGE} AS front
COPY deploy/nginx /etc/nginx/statebridge
USER 10001:10001
EXPOSE 8080
# Quit lets requests end that run; a second, shorter way to end is TERM.
STOPSIGNAL SIGQUIT
HEALTHCHECK --interval=10s --timeout=5s --start-period=5s --retries=3 \
  CMD ["curl", "--fail", "--silent", "--max-time", "4", "http://127.0.0.1:8081/"]
ENTRYPOINT ["nginx", "-e", "stderr", "-c", "/etc/nginx/statebridge/nginx.conf", "-g", "daemon off;"]
