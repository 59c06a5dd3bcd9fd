/**
 * A request as the generated message wants it. google.protobuf.Struct has no short form in protobufjs and proto-loader, so whoever has JSON
 * attributes converts them for each request.
 */

/**
 * @param {unknown} value
 * @returns {object}
 */
function toValue(value) {
  switch (typeof value) {
    case 'string':
      return { stringValue: value };
    case 'number':
      return { numberValue: value };
    case 'boolean':
      return { boolValue: value };
    default:
      if (value === null) return { nullValue: 0 };
      if (Array.isArray(value)) return { listValue: { values: value.map(toValue) } };
      return { structValue: toStruct(/** @type {Record<string, unknown>} */ (value)) };
  }
}

/** @param {Record<string, unknown>} attributes */
function toStruct(attributes) {
  /** @type {Record<string, object>} */
  const fields = {};
  for (const key of Object.keys(attributes)) fields[key] = toValue(attributes[key]);
  return { fields };
}

/**
 * @param {import('../lib/work.js').Body & { requestId: string }} request
 * @returns {object}
 */
export function toMessage(request) {
  const { requestId, principal, resource, actions, context } = request;
  if (context === undefined) return request;
  return {
    requestId,
    principal: { ...principal, ...(principal.attributes && { attributes: toStruct(principal.attributes) }) },
    resource: { ...resource, ...(resource.attributes && { attributes: toStruct(resource.attributes) }) },
    actions,
    context: toStruct(context),
  };
}
