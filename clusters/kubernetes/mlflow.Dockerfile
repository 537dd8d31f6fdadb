# MLflow's server with what PostgreSQL and an S3-compatible store need:
#     docker build -f clusters/kubernetes/mlflow.Dockerfile -t REGISTRY/kdsearch-mlflow:0.1.0 .
FROM python:3.11-slim
COPY clusters/requirements.txt /tmp/requirements.txt
RUN pip install --no-cache-dir -r /tmp/requirements.txt
USER 1000
