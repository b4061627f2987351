/* All tests of the folder in one program. */
int grpc_text_tests(void);
int grpc_pair_tests(void);
int grpc_limit_tests(void);
int grpc_reject_tests(void);
int grpc_socket_tests(void);

int main(void)
{
    int failed = grpc_text_tests();
    failed += grpc_pair_tests();
    failed += grpc_limit_tests();
    failed += grpc_reject_tests();
    failed += grpc_socket_tests();
    return failed;
}
