import type { DescService } from "@bufbuild/protobuf";
import { Code, ConnectError, type ConnectRouter, type HandlerContext } from "@connectrpc/connect";
import { Health, HealthCheckResponse_ServingStatus as Status } from "../store/gen/grpc/health/v1/health_pb.ts";
import { healthPollMs } from "./limits.ts";
import { pause } from "./wait.ts";

/** grpc.health.v1: the same answer as GET /readyz, for the server as a whole and for each of its services. */
export function mountHealth(router: ConnectRouter, services: readonly DescService[], ready: () => boolean): void {
  const known = new Set(["", ...services.map((service) => service.typeName)]);
  const statusOf = (service: string): Status => {
    if (!known.has(service)) return Status.SERVICE_UNKNOWN;
    return ready() ? Status.SERVING : Status.NOT_SERVING;
  };
  router.service(Health, {
    check({ service }) {
      if (known.has(service)) return { status: statusOf(service) };
      throw new ConnectError(`there is no service ${JSON.stringify(service.slice(0, 200))} here`, Code.NotFound);
    },
    async *watch({ service }, context: HandlerContext) {
      let last: Status | undefined;
      while (!context.signal.aborted) {
        const status = statusOf(service);
        if (status !== last) yield { status };
        last = status;
        await pause(healthPollMs, context.signal);
      }
    },
  });
}
