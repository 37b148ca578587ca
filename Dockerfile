# One image for each deployable: docker build --build-arg SERVICE=email .
#
# SERVICE is gateway, cli, deploy, devstack, or a folder of services/. Each image has its own pinned requirements and
# those members of the workspace that it declares, nothing else. It serves health on port 8000, and writes
# only to /tmp and /data, so that its root file system may be read-only.
#
# Two builds of one source make equal files, except uv_cache.json of each member, which has the time when uv saw the
# wheel, and its line in RECORD; layers also contain the times of their files.
#
# PYTHON names another base image, for your own registry or certificates. PIP_INDEX_URL names another package
# index; it stays in the build stages.
ARG PYTHON=python:3.13-slim

FROM ${PYTHON} AS tools
ARG PIP_INDEX_URL
# Reproducible wheels: all files get this date, the earliest that zip supports.
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
# Byte code is compiled now, because the image is read-only later, and never checked, because files do not change.
ENV PYC_INVALIDATION_MODE=UNCHECKED_HASH VIRTUAL_ENV=/app
RUN python -m venv --without-pip /app \
 && /tools/bin/uv pip install --quiet ${PIP_INDEX_URL:+--default-index "$PIP_INDEX_URL"} \
      --compile-bytecode --require-hashes -r "requirements/$SERVICE.txt"
COPY --from=members /wheels /wheels
# Without an index: a package that the requirements lack fails the build here.
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
# Healthy after it was ready once, whatever the broker does then: docs/deploy.md#health.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=6 \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8000/startupz', timeout=4)"]
CMD ["serve"]
