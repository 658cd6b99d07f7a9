import { type DescFile, type DescMessage, type DescService, toBinary } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { Code, type ConnectRouter } from "@connectrpc/connect";
import type { ServerReflectionRequest } from "../store/gen/grpc/reflection/v1/reflection_pb.ts";
import { ServerReflection } from "../store/gen/grpc/reflection/v1/reflection_pb.ts";
import {
  type ServerReflectionRequest as AlphaRequest,
  ServerReflection as ServerReflectionAlpha,
} from "../store/gen/grpc/reflection/v1alpha/reflection_pb.ts";

/**
 * Server reflection, v1 and v1alpha: the same messages under two names, so that `grpcurl list`, `describe` and calls
 * need no proto files.
 */
export function mountReflection(
  router: ConnectRouter,
  services: readonly DescService[],
  /** Files that no service names, as that of the error details. */
  others: readonly DescFile[],
): void {
  const all = [...services, ServerReflection, ServerReflectionAlpha];
  const index = indexFiles([...all.map((service) => service.file), ...others]);
  router.service(ServerReflection, { serverReflectionInfo: (requests) => answerAll(requests, all, index) });
  router.service(ServerReflectionAlpha, { serverReflectionInfo: (requests) => answerAll(requests, all, index) });
}

type Ask = Pick<ServerReflectionRequest, "messageRequest"> | Pick<AlphaRequest, "messageRequest">;

async function* answerAll<R extends Ask>(
  requests: AsyncIterable<R>,
  services: readonly DescService[],
  index: FileIndex,
) {
  for await (const request of requests) {
    yield { originalRequest: request, messageResponse: answerOne(request, services, index) };
  }
}

interface FileIndex {
  readonly byName: ReadonlyMap<string, DescFile>;
  readonly bySymbol: ReadonlyMap<string, DescFile>;
}

function answerOne(request: Ask, services: readonly DescService[], index: FileIndex) {
  const { messageRequest: ask } = request;
  switch (ask.case) {
    case "listServices": {
      const service = services.map((each) => ({ name: each.typeName }));
      return { case: "listServicesResponse" as const, value: { service } };
    }
    case "fileByFilename":
      return withFiles(index.byName.get(ask.value), ask.value);
    case "fileContainingSymbol":
      return withFiles(findSymbol(ask.value, index), ask.value);
    case "fileContainingExtension":
    case "allExtensionNumbersOfType":
      return refusal(Code.NotFound, "no file here has extensions");
    default:
      return refusal(Code.InvalidArgument, "the request asks for nothing that is known here");
  }
}

function refusal(errorCode: Code, errorMessage: string) {
  return { case: "errorResponse" as const, value: { errorCode, errorMessage } };
}

function withFiles(file: DescFile | undefined, asked: string) {
  if (file === undefined)
    return refusal(Code.NotFound, `nothing here is called ${JSON.stringify(asked.slice(0, 200))}`);
  const fileDescriptorProto = closure([file]).map((each) => toBinary(FileDescriptorProtoSchema, each.proto));
  return { case: "fileDescriptorResponse" as const, value: { fileDescriptorProto } };
}

/** Fields, methods and values are found by the name of what they belong to. */
function findSymbol(symbol: string, index: FileIndex): DescFile | undefined {
  for (let name = symbol; name !== ""; name = name.slice(0, Math.max(0, name.lastIndexOf(".")))) {
    const file = index.bySymbol.get(name);
    if (file !== undefined) return file;
  }
  return undefined;
}

/** The files and all that they depend on, each once. */
function closure(files: readonly DescFile[]): DescFile[] {
  const found = new Map<string, DescFile>();
  const add = (file: DescFile): void => {
    if (found.has(file.proto.name)) return;
    found.set(file.proto.name, file);
    file.dependencies.forEach(add);
  };
  files.forEach(add);
  return [...found.values()];
}

function indexFiles(files: readonly DescFile[]): FileIndex {
  const all = closure(files);
  const bySymbol = new Map<string, DescFile>();
  const addMessage = (message: DescMessage, file: DescFile): void => {
    bySymbol.set(message.typeName, file);
    for (const each of message.nestedEnums) bySymbol.set(each.typeName, file);
    for (const each of message.nestedMessages) addMessage(each, file);
  };
  for (const file of all) {
    for (const each of [...file.services, ...file.enums]) bySymbol.set(each.typeName, file);
    for (const each of file.messages) addMessage(each, file);
  }
  return { byName: new Map(all.map((file) => [file.proto.name, file])), bySymbol };
}
