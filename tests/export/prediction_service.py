"""A small TensorFlow Serving: PredictionService and its REST API on loopback.

The messages are those of tensorflow-serving-api, and what the client may notice
follows the real server: status codes and texts, float_val in answers, JSON numbers
with as many digits as float32 needs, a limit on a request's rows.

    python prediction_service.py ROOT --max-batch 4

serves every SavedModel ROOT/NAME/1, prints both ports as JSON, and ends when its
standard input does.
"""

import argparse
import http.client
import json
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class Server:
    """A server in a process of its own, for a test."""

    def __init__(self, root, max_batch):
        self._command = [sys.executable, __file__, str(root), "--max-batch"]
        self._command.append(str(max_batch))
        self._start()

    def _start(self):
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.ports = json.loads(self._process.stdout.readline() or "null")
        assert self.ports, "the server did not start"

    def reset(self):
        """Forget plan and requests; start again if a plan was to die."""
        if self._process.poll() is not None:
            self.stop()
            self._start()
        self.plan()
        self.requests()

    def address(self, protocol):
        scheme = {"grpc": "grpc", "rest": "http"}[protocol]
        return f"{scheme}://127.0.0.1:{self.ports[protocol]}"

    def plan(self, unavailable=0, delay=0.0, die=False):
        """Let the next predictions fail, all be slow, or the server end itself."""
        self._post({"unavailable": unavailable, "delay": delay, "die": die})

    def requests(self):
        """Return (signature, rows) of the predictions asked for since last time."""
        return [tuple(item) for item in self._post({})]

    def stop(self):
        self._process.stdin.close()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()

    def _post(self, plan):
        port = self.ports["rest"]
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        try:
            connection.request("POST", "/plan", json.dumps(plan))
            return json.load(connection.getresponse())
        finally:
            connection.close()


class Failure(Exception):
    def __init__(self, code, message):
        super().__init__(message)
        self.code = code


class Models:
    def __init__(self, root, max_batch):
        import tensorflow as tf
        from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

        self.models, self.signatures = {}, {}
        for path in root.glob("*/1"):
            name = path.parent.name
            self.models[name] = tf.saved_model.load(path)
            graph = SavedModel.FromString((path / "saved_model.pb").read_bytes())
            self.signatures[name] = dict(graph.meta_graphs[0].signature_def)
        self.max_batch = max_batch
        self.lock = threading.Lock()
        self.plan = {"unavailable": 0, "delay": 0.0, "die": False}
        self.requests = []

    def get(self, name):
        if name not in self.models:
            raise Failure(
                "NOT_FOUND", f"Servable not found for request: Latest({name})"
            )
        return self.signatures[name]

    def signature(self, name, signature):
        if signature not in self.get(name):
            raise Failure(
                "INVALID_ARGUMENT", f'Serving signature key "{signature}" not found.'
            )
        return self.get(name)[signature]

    def predict(self, name, signature, inputs):
        """Return the outputs by name; `inputs` are tensors by name."""
        import tensorflow as tf

        wanted = set(self.signature(name, signature).inputs)
        if set(inputs) != wanted:
            raise Failure("INVALID_ARGUMENT", f"inputs {set(inputs)} but {wanted}")
        rows = next(iter(inputs.values())).shape[0]
        with self.lock:
            self.requests.append((signature, rows))
            if self.plan["die"]:
                os._exit(1)
            self.plan["unavailable"] -= 1
            if self.plan["unavailable"] >= 0:
                raise Failure("UNAVAILABLE", "the batch queue is full")
        time.sleep(self.plan["delay"])
        if rows > self.max_batch:
            raise Failure(
                "INVALID_ARGUMENT",
                f"Task size {rows} is larger than maximum input batch size "
                f"{self.max_batch}",
            )
        try:
            return self.models[name].signatures[signature](**inputs)
        except (tf.errors.InvalidArgumentError, ValueError, TypeError) as error:
            raise Failure("INVALID_ARGUMENT", str(error)) from error


def grpc_server(models):
    import grpc
    import tensorflow as tf
    from tensorflow_serving.apis import (
        get_model_metadata_pb2,
        predict_pb2,
        prediction_service_pb2_grpc,
    )

    class Service(prediction_service_pb2_grpc.PredictionServiceServicer):
        def Predict(self, request, context):
            spec = request.model_spec
            try:
                outputs = models.predict(
                    spec.name,
                    spec.signature_name or "serving_default",
                    {
                        name: tf.constant(tf.make_ndarray(tensor))
                        for name, tensor in request.inputs.items()
                    },
                )
            except Failure as failure:
                context.abort(grpc.StatusCode[failure.code], str(failure))
            response = predict_pb2.PredictResponse()
            for name, value in outputs.items():
                if request.output_filter and name not in request.output_filter:
                    continue
                tensor = response.outputs[name]
                tensor.dtype = value.dtype.as_datatype_enum
                for size in value.shape:
                    tensor.tensor_shape.dim.add(size=size)
                tensor.float_val.extend(value.numpy().ravel().tolist())
            return response

        def GetModelMetadata(self, request, context):
            response = get_model_metadata_pb2.GetModelMetadataResponse()
            try:
                signatures = models.get(request.model_spec.name)
            except Failure as failure:
                context.abort(grpc.StatusCode[failure.code], str(failure))
            if list(request.metadata_field) != ["signature_def"]:
                context.abort(grpc.StatusCode.INVALID_ARGUMENT, "metadata_field")
            response.metadata["signature_def"].Pack(signature_map(signatures))
            return response

    server = grpc.server(ThreadPoolExecutor(4))
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(
        Service(), server
    )
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    return server, port


def signature_map(signatures):
    from tensorflow_serving.apis import get_model_metadata_pb2

    result = get_model_metadata_pb2.SignatureDefMap()
    for name, signature in signatures.items():
        result.signature_def[name].CopyFrom(signature)
    return result


def rest_server(models):
    import numpy as np
    import tensorflow as tf
    from google.protobuf import json_format

    statuses = {"NOT_FOUND": 404, "INVALID_ARGUMENT": 400, "UNAVAILABLE": 503}

    def number(value):
        return str(np.float32(value))  # shortest that survives

    def nested(array):
        parts = map(number if array.ndim == 1 else nested, array)
        return f"[{', '.join(parts)}]"

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.answer(self.metadata)

        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if self.path == "/plan":
                self.answer(lambda: self.replan(body))
            else:
                self.answer(lambda: self.predict(body))

        def name(self, tail):
            name = self.path.removeprefix("/v1/models/").removesuffix(tail)
            if self.path != f"/v1/models/{name}{tail}":
                raise Failure("INVALID_ARGUMENT", f"Malformed request: {self.path}")
            return name

        def metadata(self):
            name = self.name("/metadata")
            signatures = signature_map(models.get(name))
            text = json_format.MessageToDict(
                signatures, preserving_proto_field_name=True
            )
            spec = {"name": name, "signature_name": "", "version": "1"}
            return json.dumps(
                {"model_spec": spec, "metadata": {"signature_def": text}}, indent=1
            )

        def predict(self, body):
            name = self.name(":predict")
            signature = body.get("signature_name", "serving_default")
            infos = models.signature(name, signature).inputs
            inputs = {
                key: tf.constant(value, tf.as_dtype(infos[key].dtype))
                for key, value in body["inputs"].items()
            }
            outputs = models.predict(name, signature, inputs)
            assert len(outputs) == 1
            (value,) = outputs.values()
            return f'{{\n    "outputs": {nested(value.numpy())}\n}}'

        def replan(self, body):
            with models.lock:
                models.plan.update(body)
                requests, models.requests = models.requests, []
            return json.dumps(requests)

        def answer(self, work):
            try:
                status, text = 200, work()
            except Failure as failure:
                status = statuses[failure.code]
                text = json.dumps({"error": str(failure)})
            try:
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.end_headers()
                self.wfile.write(text.encode())
            except ConnectionError:
                pass  # a client that gave up

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_port


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("root", type=Path)
    parser.add_argument("--max-batch", type=int, required=True)
    options = parser.parse_args()
    models = Models(options.root, options.max_batch)
    server, grpc_port = grpc_server(models)
    print(json.dumps({"grpc": grpc_port, "rest": rest_server(models)}), flush=True)
    # Ends with the test that started it, and in any case after five minutes.
    watchdog = threading.Timer(300, os._exit, [1])
    watchdog.daemon = True
    watchdog.start()
    sys.stdin.read()
    server.stop(0)
    os._exit(0)


if __name__ == "__main__":
    main()
