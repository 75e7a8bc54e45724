"""The official Python client against an API server: run by client-python.test.ts with KUBECONFIG set."""

import threading
import unittest

from kubernetes import client, config, dynamic, watch

NAMESPACE = "default"
LABELS = {"test": "python"}


def config_map(name, **data):
    return client.V1ConfigMap(metadata=client.V1ObjectMeta(name=name, labels=LABELS), data=data)


class Objects(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        config.load_kube_config()
        cls.core = client.CoreV1Api()

    def test_create_read_replace_delete(self):
        made = self.core.create_namespaced_config_map(NAMESPACE, config_map("one", a="1"))
        made.data = {"a": "2"}
        replaced = self.core.replace_namespaced_config_map("one", NAMESPACE, made)
        self.assertEqual(replaced.data, {"a": "2"})
        with self.assertRaises(client.ApiException) as conflict:
            self.core.replace_namespaced_config_map("one", NAMESPACE, made)
        self.assertEqual(conflict.exception.status, 409)
        status = self.core.delete_namespaced_config_map("one", NAMESPACE)
        self.assertEqual(status.status, "Success")
        with self.assertRaises(client.ApiException) as missing:
            self.core.read_namespaced_config_map("one", NAMESPACE)
        self.assertEqual(missing.exception.status, 404)

    def test_pages_and_selectors(self):
        for name in ("p1", "p2", "p3"):
            self.core.create_namespaced_config_map(NAMESPACE, config_map(name))
        first = self.core.list_namespaced_config_map(NAMESPACE, label_selector="test=python", limit=2)
        self.assertEqual([item.metadata.name for item in first.items], ["p1", "p2"])
        rest = self.core.list_namespaced_config_map(
            NAMESPACE, label_selector="test=python", limit=2, _continue=first.metadata._continue
        )
        self.assertEqual([item.metadata.name for item in rest.items], ["p3"])

    def test_patch(self):
        port = client.V1ServicePort(name="http", port=80)
        body = client.V1Service(
            metadata=client.V1ObjectMeta(name="py"), spec=client.V1ServiceSpec(ports=[port])
        )
        made = self.core.create_namespaced_service(NAMESPACE, body)
        self.assertRegex(made.spec.cluster_ip, r"^10\.")
        # A dict is a strategic merge patch for this client, a list a JSON patch.
        more = {"spec": {"ports": [{"name": "admin", "port": 90}]}}
        merged = self.core.patch_namespaced_service("py", NAMESPACE, more)
        self.assertEqual(sorted(each.name for each in merged.spec.ports), ["admin", "http"])
        change = [{"op": "add", "path": "/metadata/labels", "value": {"a": "b"}}]
        self.assertEqual(self.core.patch_namespaced_service("py", NAMESPACE, change).metadata.labels, {"a": "b"})

    def test_pod_with_defaults(self):
        container = client.V1Container(name="main", image="registry.example/app:1")
        spec = client.V1PodSpec(containers=[container])
        pod = client.V1Pod(metadata=client.V1ObjectMeta(name="py"), spec=spec)
        made = self.core.create_namespaced_pod(NAMESPACE, pod)
        self.assertEqual(made.spec.restart_policy, "Always")
        self.assertIsNotNone(made.metadata.creation_timestamp.tzinfo)
        stream = watch.Watch().stream(
            self.core.list_namespaced_pod, NAMESPACE, field_selector="metadata.name=py", timeout_seconds=20
        )
        self.assertTrue(any(event["object"].status.phase == "Running" for event in stream))

    def test_watch(self):
        version = self.core.list_namespaced_config_map(NAMESPACE).metadata.resource_version

        def write():
            made = self.core.create_namespaced_config_map(NAMESPACE, config_map("watched"))
            made.data = {"x": "y"}
            self.core.replace_namespaced_config_map("watched", NAMESPACE, made)
            self.core.delete_namespaced_config_map("watched", NAMESPACE)

        writer = threading.Thread(target=write)
        writer.start()
        seen = []
        watcher = watch.Watch()
        for event in watcher.stream(
            self.core.list_namespaced_config_map,
            NAMESPACE,
            field_selector="metadata.name=watched",
            resource_version=version,
            timeout_seconds=20,
        ):
            seen.append(event["type"])
            if event["type"] == "DELETED":
                watcher.stop()
        writer.join()
        self.assertEqual(seen, ["ADDED", "MODIFIED", "DELETED"])

    def test_dynamic_client(self):
        kinds = dynamic.DynamicClient(client.ApiClient())
        services = kinds.resources.get(api_version="v1", kind="Service")
        self.assertTrue(services.namespaced)
        body = {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "dynamic"},
            "spec": {"ports": [{"port": 80}]},
        }
        made = services.create(body=body, namespace=NAMESPACE)
        self.assertEqual(services.get(name="dynamic", namespace=NAMESPACE).metadata.uid, made.metadata.uid)
        services.delete(name="dynamic", namespace=NAMESPACE)
        deployments = kinds.resources.get(api_version="apps/v1", kind="Deployment")
        self.assertEqual(deployments.get(namespace=NAMESPACE).kind, "DeploymentList")

    def test_access_review(self):
        attributes = client.V1ResourceAttributes(verb="delete", resource="pods", namespace=NAMESPACE)
        spec = client.V1SelfSubjectAccessReviewSpec(resource_attributes=attributes)
        review = client.V1SelfSubjectAccessReview(spec=spec)
        answer = client.AuthorizationV1Api().create_self_subject_access_review(review)
        self.assertTrue(answer.status.allowed)


if __name__ == "__main__":
    unittest.main()
