/* SPDX-License-Identifier: MIT
 *
 * gRPC as most C++ programs use it: the generated stub and service, synchronous, over a Unix socket.
 */
#include "peer.h"

#include "echo.grpc.pb.h"

#include <grpcpp/grpcpp.h>

#include <cstdio>
#include <memory>
#include <string>

namespace
{

class EchoService final : public echo::Echo::Service
{
    grpc::Status Echo(grpc::ServerContext *, const echo::EchoRequest *request,
                      echo::EchoResponse *response) override
    {
        response->set_message(request->message());
        return grpc::Status::OK;
    }
};

std::unique_ptr<echo::Echo::Stub> stub;
echo::EchoResponse response;

std::string target(const peer_setup *setup)
{
    return std::string("unix:") + setup->endpoint;
}

} // namespace

const char *peer_version(void)
{
    static const std::string line = "gRPC C++ " + grpc::Version() + ", protobuf " +
                                    google::protobuf::internal::VersionString(GOOGLE_PROTOBUF_VERSION);
    return line.c_str();
}

int peer_serve(const peer_setup *setup, void (*ready)(void))
{
    EchoService service;
    grpc::ServerBuilder builder;
    builder.AddListeningPort(target(setup), grpc::InsecureServerCredentials());
    builder.RegisterService(&service);
    std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
    if (!server) {
        std::fprintf(stderr, "cannot listen on %s\n", target(setup).c_str());
        return -1;
    }
    ready();
    server->Wait();
    return 0;
}

int peer_open(const peer_setup *setup)
{
    stub = echo::Echo::NewStub(
        grpc::CreateChannel(target(setup), grpc::InsecureChannelCredentials()));
    return stub ? 0 : -1;
}

int peer_call(const char *in, size_t length, const char **out, size_t *out_length)
{
    grpc::ClientContext context;
    echo::EchoRequest request;
    request.set_message(in, length);
    grpc::Status status = stub->Echo(&context, request, &response);
    if (!status.ok()) {
        std::fprintf(stderr, "the call failed: %s\n", status.error_message().c_str());
        return -1;
    }
    *out = response.message().data();
    *out_length = response.message().size();
    return 0;
}

void peer_close(void)
{
    stub.reset();
}
