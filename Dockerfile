# The service, as docs/places/service.md sets it up.
FROM python:3.12-slim
WORKDIR /src
COPY . .
RUN pip install --extra-index-url https://download.pytorch.org/whl/cpu ".[serve]"
USER nobody
EXPOSE 8000
CMD ["espnet-prune", "serve", "/model", "--host", "0.0.0.0"]
