<?php
// An echo with the PHP library's own worker class: php php_echo.php FOLDER-OF-ITS-SOURCES

declare(strict_types=1);

use ssigwart\ProcessPool\ProcessPoolProcess;
use ssigwart\ProcessPool\ProcessPoolProcessMessageHandlerInterface;

$sources = $argv[1];
spl_autoload_register(function (string $class) use ($sources): void {
    require $sources . strrchr(strtr($class, '\\', '/'), '/') . '.php';
});

final class EchoHandler implements ProcessPoolProcessMessageHandlerInterface
{
    public function handleRequest(string $data): void
    {
        print substr($data, strlen('echo '));
    }

    public function handleExit(): void
    {
        exit;
    }
}

$process = new ProcessPoolProcess(new EchoHandler());
$process->handleMessages();
