# One image for the four processes; the command chooses which: `python -m gateway`, `python -m auth_service`, ...
#
#     docker build -t matricula .

ARG PYTHON_IMAGE=python:3.14-slim-trixie

# --- builder: the pinned requirements in a virtual environment without pip, and the packages, compiled once -----------
FROM ${PYTHON_IMAGE} AS builder
RUN apt-get update \
    && apt-get install --yes --no-install-recommends gcc libc6-dev \
    && rm -rf /var/lib/apt/lists/*
COPY requirements.txt /tmp/requirements.txt
RUN python -m venv --without-pip /opt/venv \
    && python -m pip --python /opt/venv/bin/python install --no-cache-dir --disable-pip-version-check \
        --only-binary=:all: -r /tmp/requirements.txt
# What compiles the gateway goes beside the virtual environment, since the final image gets all that is in that.
COPY requirements-dev.txt /tmp/requirements-dev.txt
RUN python -m pip --python /opt/venv/bin/python install --no-cache-dir --disable-pip-version-check \
        --only-binary=:all: --target /opt/build-tools -c /tmp/requirements-dev.txt cython setuptools
# The gateway's data path as extension modules. The other services come after it, so that a change in them doesn't
# compile it again.
COPY servicekit /app/servicekit
COPY gateway /app/gateway
RUN cd /app \
    && PYTHONPATH=/opt/build-tools /opt/venv/bin/python -m gateway.compile \
    && rm -r build/gateway/work build/gateway/lock
COPY auth_service /app/auth_service
COPY student_service /app/student_service
COPY admin_ui /app/admin_ui
RUN /opt/venv/bin/python -m compileall -q /app

# --- final: no pip of ours, no build tools, no tests; a fixed user that owns nothing but its state folder -------------
FROM ${PYTHON_IMAGE}
LABEL org.opencontainers.image.title="matricula" \
      org.opencontainers.image.description="API gateway, auth, student records and admin UI; the command chooses the process" \
      org.opencontainers.image.licenses="MIT"
RUN groupadd --gid 10001 app \
    && useradd --uid 10001 --gid app --home-dir /var/lib/matricula --shell /usr/sbin/nologin --no-log-init app \
    && install --directory --owner=app --group=app --mode=0755 /var/lib/matricula
COPY --from=builder /opt/venv /opt/venv
COPY --from=builder /app /app
COPY --chmod=0555 deploy/docker/entrypoint.sh /usr/local/bin/matricula-entrypoint
COPY --chmod=0444 deploy/docker/healthcheck.py deploy/docker/setup_secrets.py /opt/matricula/
# HOME is a place that exists on a read-only root too.
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HOME=/tmp \
    HOST=0.0.0.0 \
    LOG_FORMAT=json \
    VAR_DIR=/var/lib/matricula
WORKDIR /app
USER 10001:10001
EXPOSE 8000 8001 8002 8003
STOPSIGNAL SIGTERM
# PORT says which process this is; compose.yaml sets it for each.
HEALTHCHECK --interval=5s --timeout=4s --start-period=60s --retries=6 \
    CMD ["python", "-I", "/opt/matricula/healthcheck.py"]
ENTRYPOINT ["matricula-entrypoint"]
CMD ["python", "-m", "gateway"]
