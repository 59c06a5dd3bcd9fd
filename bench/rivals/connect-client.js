/** connect-node's gRPC transport, with the service read from descriptors, which is what its generated code does, too. */
import { createFileRegistry, fromBinary } from '@bufbuild/protobuf';
import { FileDescriptorProtoSchema, file_google_protobuf_struct } from '@bufbuild/protobuf/wkt';
import { createClient } from '@connectrpc/connect';
import { createGrpcTransport } from '@connectrpc/connect-node';
import descriptor from 'protobufjs/ext/descriptor/index.js';
import { loadMessages } from './messages.js';

const PACKAGE = 'authz.v1';

/**
 * @typedef {object} MessageDescriptor
 * @property {string} name
 * @property {{ typeName?: string }[]} field
 * @property {MessageDescriptor[]} nestedType
 */

/** protobufjs writes the names of types as it finds them and leaves out imports; others want them whole. */
async function describeService() {
  const messages = await loadMessages();
  messages.resolveAll();
  const { file: files } =
    /** @type {{ toDescriptor(edition: string): { file: { package: string, dependency: string[], messageType: MessageDescriptor[] }[] } }} */ (
      /** @type {unknown} */ (messages)
    ).toDescriptor('proto3');
  const file = files.find((each) => each.package === PACKAGE);
  if (file === undefined) throw new Error(`the descriptors have no ${PACKAGE}`);
  file.dependency = ['google/protobuf/struct.proto'];
  for (const message of file.messageType) qualify(message, message);
  return descriptor.FileDescriptorProto.encode(file).finish();
}

/**
 * @param {MessageDescriptor} message
 * @param {MessageDescriptor} outer whose nested types are the entries of its maps
 */
function qualify(message, outer) {
  for (const field of message.field) {
    const name = field.typeName;
    if (!name) continue;
    if (name.includes('.')) field.typeName = `.${name}`;
    else if (outer.nestedType.some((nested) => nested.name === name)) {
      field.typeName = `.${PACKAGE}.${outer.name}.${name}`;
    } else field.typeName = `.${PACKAGE}.${name}`;
  }
  for (const nested of message.nestedType) qualify(nested, outer);
}

/**
 * @param {string} address
 * @returns {Promise<{
 *   check(request: object): Promise<import('./messages.js').Answer>,
 *   checkStream(requests: AsyncIterable<object>): AsyncIterable<import('./messages.js').Answer>,
 * }>}
 */
export async function createConnectClient(address) {
  const file = fromBinary(FileDescriptorProtoSchema, await describeService());
  const service = createFileRegistry(file, () => file_google_protobuf_struct).getService(`${PACKAGE}.AuthzService`);
  if (service === undefined) throw new Error(`the descriptors have no ${PACKAGE}.AuthzService`);
  return /** @type {any} */ (createClient(service, createGrpcTransport({ baseUrl: `http://${address}` })));
}
