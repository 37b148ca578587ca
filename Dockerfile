# One image for each deployable: docker build --build-arg SERVICE=email .
#
# SERVICE is gateway, cli, deploy, devstack, or a folder of services/. Each image has its own pinned requirements and
# those members of the workspace that it declares, nothing else. It listens on 8000, where health is, and writes
# to /tmp and /data only, so that its root file system may be read-only.
#
# Two builds of one source make the same files, but for uv_cache.json of each member, where uv writes down when it saw the
# wheel, and its line in RECORD; layers also hold the times of their files.
#
# PYTHON names another base, for a registry of your own or its certificates. PIP_INDEX_URL names another index
# of packages; it stays in the build stages.
ARG PYTHON=python:3.13-slim

FROM ${PYTHON} AS tools
ARG PIP_INDEX_URL
# Of the same sources the same wheels: their files bear this date, the earliest that zip can tell.
ENV SOURCE_DATE_EPOCH=315532800 UV_NO_CACHE=1 UV_PYTHON_DOWNLOADS=never
WORKDIR /build
COPY requirements/uv.txt requirements/
RUN python -m venv /tools \
 && /tools/bin/pip install --quiet --no-cache-dir --disable-pip-version-check --require-hashes -r requirements/uv.txt

# The members as wheels. uv builds them itself, so no build backend is fetched.
FROM tools AS members
COPY . .
RUN for project in */pyproject.toml services/*/pyproject.toml; do \
      /tools/bin/uv build --quiet --offline --wheel --out-dir /wheels "$(dirname "$project")" || exit 1; \
    done

FROM tools AS app
ARG SERVICE
COPY requirements/${SERVICE}.txt requirements/
# Byte code is made now, for nobody can write it later; checked by nobody, for nothing changes in an image.
ENV PYC_INVALIDATION_MODE=UNCHECKED_HASH VIRTUAL_ENV=/app
RUN python -m venv --without-pip /app \
 && /tools/bin/uv pip install --quiet ${PIP_INDEX_URL:+--default-index "$PIP_INDEX_URL"} \
      --compile-bytecode --require-hashes -r "requirements/$SERVICE.txt"
COPY --from=members /wheels /wheels
# Without an index: what the requirements lack fails the build here.
RUN /tools/bin/uv pip install --quiet --compile-bytecode --offline --no-index --find-links /wheels \
      "$(ls "/wheels/waybill_$SERVICE"[-_]*.whl)" \
 && printf '#!/bin/sh\nexec /app/bin/python -m waybill_%s "$@"\n' "$SERVICE" >/app/bin/serve \
 && chmod 755 /app/bin/serve

FROM ${PYTHON}
RUN mkdir /data && chown 10001:10001 /data
COPY --from=app /app /app
ENV PATH=/app/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    WAYBILL_HOST=0.0.0.0 WAYBILL_PORT=8000 WAYBILL_HEALTH_HOST=0.0.0.0 WAYBILL_HEALTH_PORT=8000
USER 10001:10001
WORKDIR /data
EXPOSE 8000
# Healthy once it has been ready, and then whatever the broker does: docs/deploy.md#health.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=6 \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8000/startupz', timeout=4)"]
CMD ["serve"]
