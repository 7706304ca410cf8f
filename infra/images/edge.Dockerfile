# syntax=docker/dockerfile:1
# The front door: nginx with infra/local/nginx.conf, which caches redirects. Settings: see the script front-door.
#   docker build -f infra/images/edge.Dockerfile -t short-link-edge .
# Needs /tmp to be writable; the rest of the file system may be read-only.
FROM docker.io/library/nginx:1.28.0-alpine-slim
COPY --chmod=0444 infra/local/nginx.conf /etc/short-link/nginx.conf
COPY --chmod=0555 infra/images/front-door /usr/local/bin/front-door
USER 65532:65532
EXPOSE 8080
# nginx then finishes the requests that it has.
STOPSIGNAL SIGQUIT
ENTRYPOINT ["/usr/local/bin/front-door"]
