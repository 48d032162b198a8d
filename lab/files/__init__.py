"""Files that survive crashes: durable writes and nested state as JSON and safetensors."""
